import { setTimeout as delay } from 'node:timers/promises'
import { StreamsError } from '../errors.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { StreamTask } from '../processing/stream-task.js'
import { changelogTopic, DELETE_RETENTION_MS } from './changelog-topics.js'
import { storeRange } from '../state/store-keys.js'
import { replay, type ReplayProgress, type ReplayTarget } from './replay.js'

const UNSTABLE_POLL_MS = 10

export interface ValidateContext {
  client: KafkaClient
  admin: KafkaAdmin
  applicationId: string
  groupId: string
  log: KafkaLog
  signal: AbortSignal
  onProgress?: (progress: ReplayProgress) => void
}

/** Where a task goes on. */
export interface ValidatedTask {
  readonly task: StreamTask
  readonly inputs: ReadonlyMap<string, number>
  readonly clock: string
  /** Records replayed into its engine. */
  readonly applied: number
}

/** Offsets of one changelog partition. */
interface ChangelogEnds {
  readonly topicId: string
  readonly logStart: number
  readonly highWatermark: number
}

/**
 * To be done for every task before it may process, at every assignment and after every rollback, kept tasks included.
 * The order matters: offsets may be stable while the changelog's last stable offset is still behind, so the end of the
 * changelog is taken after the offsets, and it is the high watermark.
 * @returns undefined when the signal was raised meanwhile
 * @throws StreamsError OFFSETS_LOST or TOPICS; KafkaError when Kafka does not answer
 */
export async function validateTasks(
  context: ValidateContext,
  tasks: readonly StreamTask[],
): Promise<ValidatedTask[] | undefined> {
  if (tasks.length === 0) return []

  // a. The committed offsets, once no transaction holds them back any more.
  const committed = await stableOffsets(context, tasks)
  if (committed === undefined) return undefined

  // b. Only then the ends of the changelogs, transactions that are being committed included.
  const ends = await changelogEnds(context, tasks)

  // c. Replay up to there.
  const targets: ReplayTarget[] = []
  for (const task of tasks) {
    await distrust(context, task, ends)
    for (const { name: store } of task.subTopology.stores) {
      const topic = changelogTopic(context.applicationId, store)
      const { topicId, logStart, highWatermark } = ends.get(topic)!.get(task.partition)!
      if (task.state.changelog(store) === undefined) task.state.begin(store, topicId, logStart)
      targets.push({ state: task.state, store, topic, partition: task.partition, endOffset: highWatermark })
    }
  }
  const { log, signal, onProgress } = context
  const applied = await replay(context.client, targets, { log, signal, ...(onProgress && { onProgress }) })
  if (signal.aborted) return undefined

  return Promise.all(
    tasks.map(async (task) => {
      const { inputs, clock } = await startingPoint(context, task, committed, ends)
      return { task, inputs, clock, applied: applied.get(task.id) ?? 0 }
    }),
  )
}

/** `topic-partition` -> offset (-1: none) and metadata. */
type Committed = ReadonlyMap<string, { offset: number; metadata: string }>

async function stableOffsets(
  { admin, groupId, signal }: ValidateContext,
  tasks: readonly StreamTask[],
): Promise<Committed | undefined> {
  const wanted = new Map<string, number[]>()
  for (const { subTopology, partition } of tasks) {
    for (const topic of subTopology.sourceTopics) wanted.set(topic, [...(wanted.get(topic) ?? []), partition])
  }
  while (!signal.aborted) {
    const offsets = await admin.committedOffsets(groupId, wanted, { requireStable: true })
    if (offsets.every(({ unstable }) => !unstable)) {
      return new Map(
        offsets.map(({ topic, partition, offset, metadata }) => [`${topic}-${partition}`, { offset, metadata }]),
      )
    }
    await delay(UNSTABLE_POLL_MS)
  }
  return undefined
}

async function changelogEnds({ admin, applicationId }: ValidateContext, tasks: readonly StreamTask[]) {
  const partitions = new Map<string, number[]>()
  for (const { subTopology, partition } of tasks) {
    for (const { name } of subTopology.stores) {
      const topic = changelogTopic(applicationId, name)
      partitions.set(topic, [...(partitions.get(topic) ?? []), partition])
    }
  }
  const ids = new Map((await admin.describeTopics([...partitions.keys()])).map(({ name, topicId }) => [name, topicId]))
  const ends = new Map<string, Map<number, ChangelogEnds>>()
  await Promise.all(
    [...partitions].map(async ([topic, numbers]) => {
      const topicId = ids.get(topic)
      if (topicId === undefined) {
        throw new StreamsError('TOPICS', `changelog topic ${topic} is gone: restart to have it made anew`, { topic })
      }
      const highWatermarks = await admin.listOffsets(topic, numbers, 'latest', 'read_uncommitted')
      const logStarts = await admin.listOffsets(topic, numbers, 'earliest', 'read_uncommitted')
      ends.set(
        topic,
        new Map(
          numbers.map((partition) => [
            partition,
            { topicId, logStart: logStarts.get(partition)!, highWatermark: highWatermarks.get(partition)! },
          ]),
        ),
      )
    }),
  )
  return ends
}

/** Rebuilds state that cannot be brought up to date by replaying from its position. */
async function distrust(
  { applicationId, log }: ValidateContext,
  task: StreamTask,
  ends: ReadonlyMap<string, ReadonlyMap<number, ChangelogEnds>>,
): Promise<void> {
  if (task.state.broken) await task.reopen()
  const reason = task.subTopology.stores
    .map(({ name }) => {
      const known = task.state.changelog(name)
      const { topicId, logStart, highWatermark } = ends.get(changelogTopic(applicationId, name))!.get(task.partition)!
      if (known === undefined) return undefined
      if (known.topicId !== topicId) return `the changelog of ${name} was made anew`
      if (known.position > highWatermark) return `the changelog of ${name} ends before the local state`
      if (known.position < logStart) return `the changelog of ${name} no longer has the local state's position`
      return undefined
    })
    .concat(tooOld(task))
    .find((text) => text !== undefined)
  if (reason === undefined) return
  log.warn({ task: task.id, reason }, 'local state is not used: restoring from the changelogs')
  await task.rebuild()
}

/** State that missed a tombstone would bring a deleted key back; half of the time tombstones are kept is the limit. */
function tooOld({ state, status }: StreamTask): string | undefined {
  const old = state.found && status === 'CREATED' && Date.now() - state.meta.persistedAtMs > DELETE_RETENTION_MS / 2
  return old ? 'it is so old that deletions may be missing' : undefined
}

/** Committed offsets and clocks; without any, the beginning for a task that has no state, else what the engine knows. */
async function startingPoint(
  { admin, applicationId, log }: ValidateContext,
  task: StreamTask,
  committed: Committed,
  ends: ReadonlyMap<string, ReadonlyMap<number, ChangelogEnds>>,
): Promise<{ inputs: Map<string, number>; clock: string }> {
  const { partition, state, subTopology } = task
  const inputs = new Map<string, number>()
  let clock = '{}'
  const changelogsAreWhole = subTopology.stores.every(
    ({ name }) => ends.get(changelogTopic(applicationId, name))!.get(partition)!.logStart === 0,
  )
  for (const topic of subTopology.sourceTopics) {
    const { offset, metadata } = committed.get(`${topic}-${partition}`)!
    if (offset >= 0) {
      inputs.set(topic, offset)
      if (metadata !== '') clock = metadata
    } else if (changelogsAreWhole && (await isEmpty(task))) {
      inputs.set(topic, (await admin.listOffsets(topic, [partition], 'earliest', 'read_committed')).get(partition)!)
    } else {
      const stored = state.meta.inputs[topic]
      if (stored === undefined) throw offsetsLost(task.id, topic, partition)
      log.warn({ task: task.id, topic, offset: stored }, 'the group has no offset: going on where the local state ends')
      inputs.set(topic, stored)
      clock = state.meta.clock
    }
  }
  return { inputs, clock }
}

/**
 * Whether nothing was ever committed, asked when the engine is complete up to the end of its changelogs. Their being
 * empty is too much to ask: a first transaction that was aborted leaves records in them which nobody may see.
 */
async function isEmpty({ state, subTopology }: StreamTask): Promise<boolean> {
  for (const { name } of subTopology.stores) {
    const { from, to } = storeRange(name)
    if ((await state.engine.seek(from, to)) !== undefined) return false
  }
  return true
}

function offsetsLost(task: string, topic: string, partition: number): StreamsError {
  return new StreamsError(
    'OFFSETS_LOST',
    `task ${task} has state but the group has no offset for ${topic}-${partition}, and no local state tells where it ends: ` +
      `going on from the start would count everything twice. Set the group's offsets explicitly ` +
      `(kafka-consumer-groups --reset-offsets), or delete the changelog topics to start over`,
    { task, topic, partition },
  )
}
