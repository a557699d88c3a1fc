import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { Fetcher } from '../kafka/fetcher.js'
import { visitRecords } from '../kafka/records/decode.js'
import type { EngineWrite } from '../state/engine.js'
import type { TaskState } from '../state/task-state.js'

/** One changelog partition that is to be replayed into the engine of its task. */
export interface ReplayTarget {
  readonly state: TaskState
  readonly store: string
  readonly topic: string
  readonly partition: number
  /** Replay until every offset before this one was passed. */
  readonly endOffset: number
}

/** How far one task is, told after each chunk. */
export interface ReplayProgress {
  task: string
  /** Records applied by this chunk. */
  applied: number
  /** The most that can still come. */
  remaining: number
}

/**
 * The one loop that brings engines up to their changelogs: reads committed records from each stored position on, keeps
 * the last value per key of a chunk, writes it in one batch with the new position, until every target has reached its
 * end. Control, aborted and compacted-away offsets count as progress. Stopping anywhere loses nothing.
 * @returns per task how many records were applied
 */
export async function replay(
  client: KafkaClient,
  targets: readonly ReplayTarget[],
  options: { log: KafkaLog; signal: AbortSignal; onProgress?: (progress: ReplayProgress) => void },
): Promise<Map<string, number>> {
  const applied = new Map<string, number>()
  const open = new Map<string, ReplayTarget>()
  for (const target of targets) {
    applied.set(target.state.taskId, 0)
    if (positionOf(target) < target.endOffset) open.set(nameOf(target), target)
  }
  if (open.size === 0) return applied

  for (const task of new Set([...open.values()].map(({ state }) => state.taskId))) {
    options.onProgress?.({ task, applied: 0, remaining: remainingOf(task, open) })
  }
  const fetcher = new Fetcher(client, { isolation: 'read_committed', maxWaitMs: 100, log: options.log })
  const onAbort = () => fetcher.wake()
  options.signal.addEventListener('abort', onAbort)
  try {
    fetcher.assign(
      [...open.values()].map((one) => ({ topic: one.topic, partition: one.partition, offset: positionOf(one) })),
    )
    while (open.size > 0 && !options.signal.aborted) {
      const chunk = await fetcher.poll(1_000)
      const target = chunk && open.get(nameOf(chunk))
      if (chunk === undefined || target === undefined) continue
      const count = await apply(target, chunk)
      applied.set(target.state.taskId, applied.get(target.state.taskId)! + count)
      if (positionOf(target) >= target.endOffset) {
        open.delete(nameOf(target))
        fetcher.unassign([target])
      }
      options.onProgress?.({
        task: target.state.taskId,
        applied: count,
        remaining: remainingOf(target.state.taskId, open),
      })
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort)
    await fetcher.close()
  }
  return applied
}

/** Writes a chunk into the engine: the last value per key, and the position after it, in one batch. */
async function apply({ state, store }: ReplayTarget, chunk: FetchedChunk): Promise<number> {
  const last = new Map<string, EngineWrite>()
  let count = 0
  const next = visitRecords(
    chunk,
    'read_committed',
    (_offset, _timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      if (keyEnd < keyStart) return
      const key = Buffer.from(bytes.subarray(keyStart, keyEnd))
      const value = valueEnd < valueStart ? undefined : Buffer.from(bytes.subarray(valueStart, valueEnd))
      last.set(key.toString('latin1'), { key, value })
      count++
    },
  )
  if (next === chunk.fetchOffset) return 0
  // Once a change was applied, the input offset this state belongs to is known to the group alone.
  await state.persist({
    changes: new Map([[store, [...last.values()]]]),
    positions: new Map([[store, next]]),
    inputs: count > 0 ? undefined : new Map(),
    clock: count > 0 ? '{}' : state.meta.clock,
  })
  return count
}

function remainingOf(task: string, open: ReadonlyMap<string, ReplayTarget>): number {
  const theirs = [...open.values()].filter(({ state }) => state.taskId === task)
  return theirs.reduce((sum, one) => sum + one.endOffset - positionOf(one), 0)
}

function positionOf({ state, store }: ReplayTarget): number {
  return state.changelog(store)!.position
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}-${partition}`
}
