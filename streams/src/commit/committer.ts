import { changelogTopic } from '../changelog/changelog-topics.js'
import { failpoint } from '../failpoints.js'
import type { WrittenOffsets } from '../kafka/batch-produce.js'
import type { StreamTask } from '../processing/stream-task.js'
import type { FrozenTask } from '../processing/task.js'
import { encodeProgress, PROGRESS_HEADER } from '../state/progress.js'
import type { IntervalProducer } from './interval-producer.js'
import type { FrozenInterval, Interval, Stamp } from './interval.js'
import { changelogRefused, type RefusedOutput } from './refused-output.js'
import { offsetMetadata } from './offset-metadata.js'

/**
 * Ends an interval: announces what is to be published, encodes what changed, and adds it to the interval's records.
 * Synchronous: no record is processed in between, and processing may go on right after it.
 */
export function freeze(
  interval: Interval,
  tasks: readonly StreamTask[],
  stamp: Stamp,
  applicationId: string,
  nowMs: number,
): FrozenInterval {
  const frozen = tasks.map((task) => {
    const frozen = task.processor.freeze(nowMs)
    const timestampMs = Math.max(0, task.processor.clock.streamTimeMs)
    for (const [store, writes] of frozen.changes) {
      const topic = changelogTopic(applicationId, store)
      const last = writes.length - 1
      writes.forEach(({ key, value }, at) => {
        const headers = at === last ? [{ key: PROGRESS_HEADER, value: encodeProgress(frozen.progress) }] : []
        try {
          interval.records.append(topic, task.partition, key, value ?? null, timestampMs, headers)
        } catch (error) {
          throw changelogRefused({ task: task.id, store, topic, partition: task.partition, key }, error)
        }
      })
    }
    return { task, frozen }
  })
  return {
    stamp,
    records: interval.records,
    tasks: frozen,
    givenUp: interval.givenUp,
  }
}

/**
 * Commits a frozen interval: one transaction of the instance, fenced by the group's generation, then the engines. At
 * least once: the same steps without a transaction.
 * Each step says what a crash right after it leaves behind.
 * @returns when the results became visible, epoch ms
 * @throws KafkaError when the transaction fails, StreamsError when a record is refused that must not be left out, or the
 *   engine's error when step 4 fails; the caller rolls back
 */
export async function commit(
  producer: IntervalProducer,
  { stamp, records, tasks }: FrozenInterval,
  { applicationId, groupId, refused }: { applicationId: string; groupId: string; refused: RefusedOutput },
): Promise<number> {
  await failpoint('commit.frozen')
  // 1. Outputs and changelog records; what no broker takes is decided about, and put aside along with the rest.
  //    Crash: an open transaction, which the next InitProducerId or the broker's timeout aborts; nobody who reads
  //    committed records sees them. At least once: some or all of them are there for good and the offsets are not, so
  //    whoever takes over restores these changes and counts their records once more.
  const written = await producer.produce(records, refused.decide)
  if (refused.letters.recordCount > 0) await producer.produce(refused.letters, refused.decideAboutLetters)
  await failpoint('commit.produced')

  // 2. The offsets, with the generation and the member id of this interval: the broker refuses them from an instance
  //    that was expelled meanwhile. Never left out, also when no input was read: it is what fences. Crash: as after 1.
  //    At least once: they hold from here on, and a crash is one after 3.
  const positions = new Map(
    tasks.map(({ task, frozen }) => [task, positionsAfter(task, frozen, written, applicationId)]),
  )
  const offsets = tasks.flatMap(({ task, frozen }) => {
    const metadata = offsetMetadata(frozen.progress.clock, changelogsAfter(task, positions.get(task)!))
    return Object.entries(frozen.progress.inputs).map(([topic, offset]) => {
      return { topic, partition: task.partition, offset, metadata }
    })
  })
  await producer.sendOffsets({ groupId, ...stamp }, offsets)
  await failpoint('commit.offsets-sent')

  // 3. Commit. Crash: committed or not, the broker decides; either way the engines do not have it, and on restart the
  //    committed offsets and the changelogs' tail say what happened. At least once there is nothing left to do.
  await producer.end('commit')
  const visibleAtMs = Date.now()
  await failpoint('commit.ended')
  for (const { task, frozen } of tasks) task.committed(frozen)

  // 4. The engines, one batch each. Crash: those not reached are behind by one interval, which is replayed from the
  //    changelog's tail; never ahead.
  //    All are waited for, also when one fails: a rollback must not meet a write that is still under way.
  const persisted = await Promise.allSettled(
    tasks.map(async ({ task, frozen }, at) => {
      if (at > 0) await failpoint('commit.persisting')
      await task.persist(frozen, positions.get(task)!)
    }),
  )
  const failed = persisted.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  await failpoint('commit.persisted')
  return visibleAtMs
}

/** Per store that was written: how far the task's partition of its changelog is now. */
function positionsAfter(
  task: StreamTask,
  frozen: FrozenTask,
  written: WrittenOffsets,
  applicationId: string,
): Map<string, number> {
  const positions = new Map<string, number>()
  for (const store of frozen.changes.keys()) {
    const next = written.get(changelogTopic(applicationId, store))?.get(task.partition)
    if (next !== undefined) positions.set(store, next)
  }
  return positions
}

function changelogsAfter({ state, subTopology }: StreamTask, positions: ReadonlyMap<string, number>) {
  return Object.fromEntries(
    subTopology.stores.map(({ name }) => {
      const { topicId, position } = state.changelog(name)!
      return [name, { topicId, end: positions.get(name) ?? position }]
    }),
  )
}
