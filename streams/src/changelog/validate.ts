import { setTimeout as delay } from 'node:timers/promises'
import { allDone } from '../all-done.js'
import { StreamsError } from '../errors.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { StreamTask } from '../processing/stream-task.js'
import { listChangelogEnds, type ChangelogEnds } from './changelog-ends.js'
import { changelogTopic, DELETE_RETENTION_MS } from './changelog-topics.js'
import type { OffsetToCommit } from '../kafka/protocol/offset-commit.js'
import { firstKey } from '../state/engine.js'
import { storeRange } from '../state/store-keys.js'
import { changelogsIn, isResetUnfinished } from '../commit/offset-metadata.js'
import { failpoint } from '../failpoints.js'
import { Backoff } from '../kafka/retry.js'
import { UNDECIDED, UNDECIDED_TOLD_EVERY_MS, type ChangelogReader, type RestoreTarget } from './changelog-reader.js'

/** A commit that is under way is decided within milliseconds; one whose markers are lost, never. */
const UNSTABLE_POLL = { firstMs: 10, mostMs: 500 }

/** What is logged, with the reason, wherever state on this machine is dropped. */
export const LOCAL_STATE_NOT_USED = 'local state is not used: restoring from the changelogs'

export interface ValidateContext {
  client: KafkaClient
  admin: KafkaAdmin
  applicationId: string
  groupId: string
  log: KafkaLog
  reader: ChangelogReader
  /**
   * Commits where a task begins that nobody has processed yet. At least once only: there the state is written before the
   * offsets, and a crash in between must not look as if the group had lost them.
   */
  commitStart?: (offsets: readonly OffsetToCommit[]) => Promise<void>
}

/** Where a task goes on. */
export interface ValidatedTask {
  readonly task: StreamTask
  readonly inputs: ReadonlyMap<string, number>
  readonly clock: string
  /** Records replayed into its engine. */
  readonly applied: number
}

/** By store. */
type Ends = ReadonlyMap<string, { readonly topicId: string; readonly byPartition: ReadonlyMap<number, ChangelogEnds> }>

/**
 * To be done for every task before it may process, at every assignment and after every rollback, kept tasks included.
 * Each task is started as soon as it is complete itself. The order matters: offsets may be stable while the changelog's
 * last stable offset is still behind, so the end of the changelog is taken after the offsets, and it is the high
 * watermark. Ends early, with nothing half done, when `signal` is raised.
 * @throws StreamsError OFFSETS_LOST, CHANGELOG_LOST or TOPICS; KafkaError when Kafka does not answer; what `start` throws
 */
export async function validateTasks(
  context: ValidateContext,
  tasks: readonly StreamTask[],
  signal: AbortSignal,
  start: (validated: ValidatedTask) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const restoring: Promise<void>[] = []
  const fail = () => failed.abort()
  try {
    const backoff = new Backoff(UNSTABLE_POLL)
    let open = tasks
    let tellAtMs = performance.now() + UNDECIDED_TOLD_EVERY_MS
    while (open.length > 0 && !either.aborted) {
      // a. The committed offsets, once no transaction holds them back any more.
      const committed = await committedOffsets(context, open)
      await failpoint('task.offsets-read')
      const stable = open.filter((task) => sourcesOf(task).every((at) => !committed.get(at)!.unstable))
      open = open.filter((task) => !stable.includes(task))
      if (stable.length > 0) {
        // b. Only then the ends of the changelogs, transactions that are being committed included.
        const ends = await changelogEnds(context, stable)
        await failpoint('task.ends-read')
        // c. Replay up to there, each task by itself.
        for (const task of stable) {
          const work = validateTask(context, task, { committed, ends }, either, start)
          restoring.push(work)
          work.catch(fail)
        }
      }
      if (open.length > 0) await delay(backoff.next())
      if (open.length > 0 && performance.now() >= tellAtMs) {
        tellAtMs += UNDECIDED_TOLD_EVERY_MS
        context.log.warn({ tasks: open.map(({ id }) => id), waitsFor: "the group's offsets" }, UNDECIDED)
      }
    }
  } catch (error) {
    fail()
    await Promise.allSettled(restoring)
    throw error
  }
  await allDone(restoring)
}

async function validateTask(
  context: ValidateContext,
  task: StreamTask,
  { committed, ends }: { committed: Committed; ends: Ends },
  signal: AbortSignal,
  start: (validated: ValidatedTask) => Promise<void>,
): Promise<void> {
  for (const at of sourcesOf(task)) checkCommitted(context, task, committed.get(at)!.metadata, ends)
  const targets = await prepareTask(context, task, ends)
  await failpoint('task.state-checked')
  const applied = await context.reader.restore(task.state, targets, signal)
  if (applied === undefined) return
  await failpoint('task.restored')
  const { inputs, clock } = await startingPoint(context, task, committed, ends)
  if (signal.aborted) return
  await start({ task, inputs, clock, applied })
  await failpoint('task.started')
}

/**
 * Readies the state of standbys: what cannot be brought up to date is dropped.
 * @returns by task what its reader is to follow
 */
export async function prepareStandbys(
  context: ValidateContext,
  tasks: readonly StreamTask[],
): Promise<Map<StreamTask, RestoreTarget[]>> {
  if (tasks.length === 0) return new Map()
  const ends = await changelogEnds(context, tasks)
  return new Map(await Promise.all(tasks.map(async (task) => [task, await prepareTask(context, task, ends)] as const)))
}

/** Drops state that cannot be used, and begins where there is none. */
async function prepareTask(context: ValidateContext, task: StreamTask, ends: Ends): Promise<RestoreTarget[]> {
  await distrust(context, task, ends)
  return task.subTopology.stores.map(({ name: store }) => {
    const topic = changelogTopic(context.applicationId, store)
    const { topicId, logStart, highWatermark } = endsOf(ends, store, task)
    if (task.state.changelog(store) === undefined) task.state.begin(store, topicId, logStart)
    return { state: task.state, store, topic, partition: task.partition, endOffset: highWatermark }
  })
}

/** `topic-partition` -> offset (-1: none) and metadata. */
type Committed = ReadonlyMap<string, { offset: number; metadata: string; unstable: boolean }>

/** `topic-partition` of everything the task reads. */
function sourcesOf({ subTopology, partition }: StreamTask): string[] {
  return subTopology.sourceTopics.map((topic) => `${topic}-${partition}`)
}

async function committedOffsets({ admin, groupId }: ValidateContext, tasks: readonly StreamTask[]): Promise<Committed> {
  const wanted = new Map<string, number[]>()
  for (const { subTopology, partition } of tasks) {
    for (const topic of subTopology.sourceTopics) wanted.set(topic, [...(wanted.get(topic) ?? []), partition])
  }
  const offsets = await admin.committedOffsets(groupId, wanted, { requireStable: true })
  return new Map(offsets.map((one) => [`${one.topic}-${one.partition}`, one]))
}

/**
 * What was committed with the offsets has to be in the changelogs: a changelog that was deleted, made anew or cut short
 * would otherwise pass for a state in which nothing has happened yet.
 */
function checkCommitted(
  { applicationId }: ValidateContext,
  { id, partition, subTopology }: StreamTask,
  metadata: string,
  ends: Ends,
): void {
  if (isResetUnfinished(metadata)) {
    throw new StreamsError(
      'RESET_UNFINISHED',
      `a reset of application '${applicationId}' was begun and not finished, so its offsets and its state do not fit ` +
        `together: run 'streams reset' with --execute to its end, then start again`,
      { task: id },
    )
  }
  const known = changelogsIn(metadata)
  const ours = subTopology.stores.map(({ name }) => name)
  const theirs = Object.keys(known)
  if (theirs.length > 0 && ours.length > 0 && !theirs.some((store) => ours.includes(store))) {
    throw new StreamsError(
      'TOPICS',
      `application id '${applicationId}' was used by another topology: its task ${id} kept ${theirs.join(', ')}, this ` +
        `one keeps ${ours.join(', ')}. Give this application an id of its own, or clear the old one with 'streams reset'`,
      { task: id },
    )
  }
  for (const store of ours) {
    if (!Object.hasOwn(known, store)) continue
    const committed = known[store]!
    const topic = changelogTopic(applicationId, store)
    const { topicId, highWatermark } = endsOf(ends, store, { partition })
    const anew = committed.topicId !== topicId
    if (!anew && committed.end <= highWatermark) continue
    const what = anew ? 'was deleted and made anew' : `ends at ${highWatermark}`
    throw new StreamsError(
      'CHANGELOG_LOST',
      `changelog ${topic}-${partition} ${what}, but the group's offsets belong to a state that reached ` +
        `${committed.end} in it: going on would compute from a state that lacks what was lost. Bring the topic back from ` +
        `a backup, or start over with 'streams reset'`,
      { task: id, topic, partition, store },
    )
  }
}

async function changelogEnds({ admin, applicationId }: ValidateContext, tasks: readonly StreamTask[]): Promise<Ends> {
  const partitions = new Map<string, number[]>()
  for (const { subTopology, partition } of tasks) {
    for (const { name } of subTopology.stores) partitions.set(name, [...(partitions.get(name) ?? []), partition])
  }
  const topicOf = (store: string) => changelogTopic(applicationId, store)
  const topics = await admin.describeTopics([...partitions.keys()].map(topicOf))
  const ids = new Map(topics.map(({ name, topicId }) => [name, topicId]))
  const gone = [...partitions.keys()].map(topicOf).find((topic) => !ids.has(topic))
  if (gone !== undefined) {
    throw new StreamsError(
      'TOPICS',
      `changelog topic ${gone} is gone: bring it back from a backup, or start over with 'streams reset'`,
      { topic: gone },
    )
  }
  const ends = await listChangelogEnds(admin, applicationId, partitions)
  return new Map([...ends].map(([store, byPartition]) => [store, { topicId: ids.get(topicOf(store))!, byPartition }]))
}

/** Of one changelog partition of the task. */
function endsOf(ends: Ends, store: string, { partition }: { readonly partition: number }) {
  const { topicId, byPartition } = ends.get(store)!
  return { topicId, ...byPartition.get(partition)! }
}

/** Rebuilds state that cannot be brought up to date by replaying from its position. */
async function distrust({ log }: ValidateContext, task: StreamTask, ends: Ends): Promise<void> {
  if (task.state.broken) {
    await task.reopen()
    const { dropped } = task.state
    if (dropped !== undefined) log.warn({ task: task.id, reason: dropped }, LOCAL_STATE_NOT_USED)
  }
  const reason = task.subTopology.stores
    .map(({ name }) => {
      const known = task.state.changelog(name)
      const { topicId, logStart, highWatermark } = endsOf(ends, name, task)
      if (known === undefined) return undefined
      if (known.topicId !== topicId) return `the changelog of ${name} was made anew`
      if (known.position > highWatermark) return `the changelog of ${name} ends before the local state`
      if (known.position < logStart) return `the changelog of ${name} no longer has the local state's position`
      return undefined
    })
    .concat(isBehind(task, ends) ? tooOld(task) : undefined)
    .find((text) => text !== undefined)
  if (reason === undefined) return
  log.warn({ task: task.id, reason }, LOCAL_STATE_NOT_USED)
  await task.rebuild()
}

/** Whether there is anything to replay. Where there is not, nothing can have been missed. */
function isBehind(task: StreamTask, ends: Ends): boolean {
  return task.subTopology.stores.some(({ name }) => {
    const known = task.state.changelog(name)
    return known !== undefined && known.position < endsOf(ends, name, task).highWatermark
  })
}

/** State that missed a tombstone would bring a deleted key back; half of the time tombstones are kept is the limit. */
function tooOld({ state, currentUntilMs }: StreamTask): string | undefined {
  const { persistedAtMs } = state.meta
  const sinceMs = Math.min(Date.now() - persistedAtMs, performance.now() - currentUntilMs)
  const old = persistedAtMs > 0 && sinceMs > DELETE_RETENTION_MS / 2
  return old ? 'it is so old that deletions may be missing' : undefined
}

/** Committed offsets and clocks; without any, the beginning for a task that has no state, else what the engine knows. */
async function startingPoint(
  { admin, log, commitStart }: ValidateContext,
  task: StreamTask,
  committed: Committed,
  ends: Ends,
): Promise<{ inputs: Map<string, number>; clock: string }> {
  const { partition, state, subTopology } = task
  const inputs = new Map<string, number>()
  const fresh: OffsetToCommit[] = []
  let clock = '{}'
  const changelogsAreWhole = subTopology.stores.every(({ name }) => endsOf(ends, name, task).logStart === 0)
  for (const topic of subTopology.sourceTopics) {
    const { offset, metadata } = committed.get(`${topic}-${partition}`)!
    if (offset >= 0) {
      inputs.set(topic, offset)
      if (metadata !== '') clock = metadata
      continue
    }
    // Asked first: state in which everything has expired is empty, too.
    const stored = state.progress?.inputs[topic]
    if (stored !== undefined) {
      log.warn({ task: task.id, topic, offset: stored }, 'the group has no offset: going on where the state ends')
      inputs.set(topic, stored)
      clock = state.progress!.clock
    } else if (changelogsAreWhole && (await isEmpty(task))) {
      const start = (await admin.listOffsets(topic, [partition], 'earliest', 'read_committed')).get(partition)!
      inputs.set(topic, start)
      fresh.push({ topic, partition, offset: start, metadata: '' })
    } else {
      throw offsetsLost(task.id, topic, partition)
    }
  }
  if (fresh.length > 0) await commitStart?.(fresh)
  return { inputs, clock }
}

/**
 * Whether nothing was ever committed, asked when the engine is complete up to the end of its changelogs. Their being
 * empty is too much to ask: a first transaction that was aborted leaves records in them which nobody may see.
 */
async function isEmpty({ state, subTopology }: StreamTask): Promise<boolean> {
  for (const { name } of subTopology.stores) {
    if ((await firstKey(state.engine, storeRange(name))) !== undefined) return false
  }
  return true
}

function offsetsLost(task: string, topic: string, partition: number): StreamsError {
  return new StreamsError(
    'OFFSETS_LOST',
    `task ${task} has state but the group has no offset for ${topic}-${partition}, and nothing in the state tells where it ends: ` +
      `going on from the start would count everything twice. Set the group's offsets explicitly ` +
      `(kafka-consumer-groups --reset-offsets), or start over with 'streams reset'`,
    { task, topic, partition },
  )
}
