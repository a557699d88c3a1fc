import type { KafkaStreams, ServedTask } from '../application.js'
import { partitionFor } from '../kafka/partitioner.js'
import type { SubTopology } from '../topology/topology.js'
import type { InstanceAnswer, QuerySource, TaskAnswer } from './protocol.js'
import { QueryRefusal, type ParsedRequest } from './request.js'
import type { TaskView } from './task-view.js'

/** What a query server needs of the application. */
export type QueryableStreams = Pick<
  KafkaStreams,
  'applicationId' | 'instanceId' | 'topology' | 'served' | 'assignment' | 'partitionCount'
>

/** What a query is asked. */
export interface QueryRequest {
  /** As it was sent; undefined when a whole task is asked. */
  readonly key?: string
  readonly params: Readonly<Record<string, string>>
}

/** A question about one task. */
export interface Query {
  /** A store it reads: all that it reads must be of the task which has this one. */
  readonly store: { readonly name: string }
  /** Answers from the state of the task; `undefined` = there is no such key. */
  ask(view: TaskView, request: QueryRequest): unknown
}

/**
 * Puts the question to the tasks it is meant for.
 * @param keyBytes the key of the store's records for the key of a request: its hash decides the task
 * @throws QueryRefusal, or what the query throws
 */
export async function answer(
  streams: QueryableStreams,
  query: Query,
  request: ParsedRequest,
  keyBytes: (key: string) => Buffer,
): Promise<TaskAnswer<unknown> | InstanceAnswer<unknown>> {
  const sub = subTopologyWith(streams, query.store.name)
  const { target, params } = request
  if (target.kind === 'all') return answerAll(streams, sub, query, request)
  const count = streams.partitionCount(sub.sourceTopics[0]!)
  if (count === 0) throw new QueryRefusal({ code: 'NOT_READY', message: 'not in the group yet' })
  const partition = target.kind === 'partition' ? target.partition : partitionFor(keyBytes(target.key), count)
  if (partition >= count) {
    throw new QueryRefusal({ code: 'BAD_REQUEST', message: `partition: there are ${count}, not ${partition}` })
  }
  const task = servedOf(streams, sub, request).find(({ view }) => view.partition === partition)
  if (task === undefined) throw notMine(streams, partition)
  // What is refused for its age need not be read first; whether it is too old is decided at the end.
  refuseIfStale(task.source(), request)
  const result = await askTask(streams, query, task, target.kind === 'key' ? { key: target.key, params } : { params })
  const source = task.source()
  refuseIfStale(source, request)
  if (result === undefined) throw new QueryRefusal({ code: 'NOT_FOUND', message: 'no such key', source })
  return { result, partition, source }
}

/** A task that went away meanwhile, or is too old, is left out: whoever asks sees which partitions are missing. */
async function answerAll(
  streams: QueryableStreams,
  sub: SubTopology,
  query: Query,
  request: ParsedRequest,
): Promise<InstanceAnswer<unknown>> {
  const { params, maxStaleMs } = request
  const answers = await Promise.all(
    servedOf(streams, sub, request).map(async (task) => {
      const result = await askTask(streams, query, task, { params }).catch((error: unknown) => {
        if (error instanceof QueryRefusal) return undefined
        throw error
      })
      return { task, result }
    }),
  )
  const results = answers.flatMap(({ task, result }) => {
    const source = task.source()
    return result === undefined || source.staleMs > maxStaleMs
      ? []
      : [{ result, partition: task.view.partition, source }]
  })
  return { results }
}

async function askTask(
  streams: QueryableStreams,
  query: Query,
  { view }: ServedTask,
  request: QueryRequest,
): Promise<unknown> {
  try {
    return await query.ask(view, request)
  } catch (error) {
    // Its engine was closed under the reader when the task moved: no fault of the query.
    const isHere = streams.served().some((task) => task.view.taskId === view.taskId)
    throw isHere ? error : notMine(streams, view.partition)
  } finally {
    // An engine that was closed has let go of its snapshots already.
    await view.close().catch(() => undefined)
  }
}

function subTopologyWith({ topology }: QueryableStreams, store: string): SubTopology {
  const sub = topology.subTopologies.find(({ stores }) => stores.some(({ name }) => name === store))
  if (sub === undefined) throw new QueryRefusal({ code: 'BAD_REQUEST', message: `there is no store '${store}'` })
  return sub
}

function servedOf(streams: QueryableStreams, { id }: SubTopology, { isolation }: ParsedRequest): ServedTask[] {
  return streams.served(isolation).filter(({ view }) => view.taskId === `${id}_${view.partition}`)
}

function refuseIfStale(source: QuerySource, { maxStaleMs }: ParsedRequest): void {
  if (source.staleMs <= maxStaleMs) return
  throw new QueryRefusal({ code: 'TOO_STALE', message: `the state here is ${source.staleMs} ms old`, source })
}

function notMine({ assignment }: QueryableStreams, partition: number): QueryRefusal {
  const generation = assignment?.generation ?? -1
  return new QueryRefusal({ code: 'NOT_MINE', message: `partition ${partition} is not here`, generation })
}
