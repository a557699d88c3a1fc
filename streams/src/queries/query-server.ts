import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { KafkaStreams } from '../application.js'
import { partitionFor } from '../kafka/partitioner.js'
import type { QueryAllAnswer, QueryAnswer, QueryFailure } from './protocol.js'
import { QueryError, type TaskView } from './task-view.js'

export interface QueryRequest {
  /** Undefined when the query is asked of all keys. */
  readonly key?: string
  readonly params: Readonly<Record<string, string>>
}

/** Answers one question from the committed state of one task; `undefined` = there is no such key. */
export type Query = (view: TaskView, request: QueryRequest) => unknown

export interface QueryServerOptions {
  streams: Pick<KafkaStreams, 'served' | 'assignment'>
  queries: Readonly<Record<string, Query>>
  /** The input topic whose partitions decide which task has a key. */
  partitions(): number
  /** When set, callers must send it as `Authorization: Bearer <token>`. */
  token?: string
}

/** A Fastify plugin with GET /queries/:name and GET /routing (protocol.ts). */
export function queryRoutes({ streams, queries, partitions, token }: QueryServerOptions) {
  // Fastify waits for the promise of a plugin before it listens.
  return async function queryPlugin(app: FastifyInstance): Promise<void> {
    if (token !== undefined && token !== '') app.addHook('onRequest', requireToken(token))

    app.get('/routing', () => streams.assignment ?? { members: [] })

    app.get<{ Params: { name: string }; Querystring: Record<string, string> }>(
      '/queries/:name',
      async (request, reply) => {
        const query = Object.hasOwn(queries, request.params.name) ? queries[request.params.name] : undefined
        if (query === undefined)
          return fail(reply, 404, { code: 'NOT_FOUND', message: `no query '${request.params.name}'` })
        const { key, ...params } = request.query
        try {
          return key === undefined ? await answerAll(query, params) : await answerOne(query, key, params, reply)
        } catch (error) {
          if (!(error instanceof QueryError)) throw error
          return fail(reply, error.status, { code: 'BAD_REQUEST', message: error.message })
        }
      },
    )
  }

  async function answerOne(query: Query, key: string, params: Record<string, string>, reply: FastifyReply) {
    const count = partitions()
    if (count === 0) return fail(reply, 503, { code: 'NOT_READY', message: 'not in the group yet' })
    const partition = partitionFor(Buffer.from(key, 'utf8'), count)
    const served = streams.served()
    const task = served.find(({ view }) => view.partition === partition)
    if (task === undefined) {
      const generation = served[0]?.source().generation ?? -1
      return fail(reply, 421, { code: 'NOT_MINE', message: `partition ${partition} is not here`, generation })
    }
    const result = await ask(query, task.view, { key, params })
    const source = task.source()
    if (result === undefined) return fail(reply, 404, { code: 'NOT_FOUND', message: 'no such key', source })
    return { result, source } satisfies QueryAnswer<unknown>
  }

  async function answerAll(query: Query, params: Record<string, string>): Promise<QueryAllAnswer<unknown>> {
    const results = await Promise.all(
      streams.served().map(async (task) => {
        const result = await ask(query, task.view, { params })
        return { result, partition: task.view.partition, source: task.source() }
      }),
    )
    return { results }
  }
}

async function ask(query: Query, view: TaskView, request: QueryRequest): Promise<unknown> {
  try {
    return await query(view, request)
  } finally {
    await view.close()
  }
}

function fail(reply: FastifyReply, status: number, failure: QueryFailure): FastifyReply {
  return reply.code(status).send(failure)
}

function requireToken(token: string) {
  const wanted = Buffer.from(`Bearer ${token}`)
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const given = Buffer.from(request.headers.authorization ?? '')
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return undefined
    return fail(reply, 401, { code: 'UNAUTHORIZED', message: 'a token is needed' })
  }
}
