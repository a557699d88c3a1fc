import type { StreamTask } from '../processing/stream-task.js'
import { retainedFromMs, WindowStore } from './window-store.js'

const EXPIRE_EVERY_MS = 3_600_000
const BATCH = 1_000

/**
 * Lets go of windows past their store's retention, once an hour of stream time. Nobody misses them: retention is longer
 * than size and grace, so no record can enter them any more. The changelog forgets them by its own retention.
 * @returns how many were let go
 */
export async function expireWindows(task: StreamTask): Promise<number> {
  const { clock } = task.processor
  const { streamTimeMs } = clock
  if (streamTimeMs < task.expireAtStreamMs) return 0
  task.expireAtStreamMs = streamTimeMs + EXPIRE_EVERY_MS
  let count = 0
  for (const store of task.processor.graph.stores.values()) {
    if (!(store instanceof WindowStore)) continue
    let batch: Buffer[] = []
    for await (const key of store.expired(retainedFromMs(store.spec, clock))) {
      batch.push(key)
      count++
      if (batch.length < BATCH) continue
      await task.state.remove(batch)
      batch = []
    }
    if (batch.length > 0) await task.state.remove(batch)
  }
  return count
}
