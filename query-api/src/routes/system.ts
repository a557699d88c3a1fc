import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { LiveState, TaskStatuses } from '../dependencies.js'
import { NoQuery, problemAnswer, TasksAnswer, TopologyAnswer } from '../schemas.js'

/** GET /topology and /tasks: the system itself. */
export function systemRoutes(app: FastifyInstance, live: LiveState, tasks: TaskStatuses): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  typed.get(
    '/topology',
    {
      schema: {
        tags: ['system'],
        summary: 'Which processor has which task, and who stands by',
        querystring: NoQuery,
        response: { 200: TopologyAnswer, 400: problemAnswer('bad parameter') },
      },
    },
    async () => {
      const { applicationId, epoch = null, generation, members, tasks } = live.routing()
      return {
        applicationId,
        epoch,
        generation,
        members: members.map(({ instance, endpoint, tasks: active, standbys }) => {
          return { instance, endpoint, tasks: [...active], standbys: [...standbys] }
        }),
        tasks: tasks.map(({ task, partition, active, standbys }) => {
          return { task, partition, active, standbys: [...standbys] }
        }),
      }
    },
  )
  typed.get(
    '/tasks',
    {
      schema: {
        tags: ['system'],
        summary: 'The state of every task, as each processor tells it',
        querystring: NoQuery,
        response: { 200: TasksAnswer, 400: problemAnswer('bad parameter') },
      },
    },
    async () => {
      const instances = await tasks.gather()
      return {
        instances: instances.map(({ instance, endpoint, tasks: known, error }) => ({
          instance,
          endpoint,
          ...(known !== undefined && { tasks: [...known] }),
          ...(error !== undefined && { error }),
        })),
      }
    },
  )
}
