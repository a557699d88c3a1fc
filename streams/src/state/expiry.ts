import type { TaskState } from './task-state.js'
import { KeyValueStore } from './key-value-store.js'
import type { WindowStore } from './window-store.js'
import { retainedFromMs } from './window-store.js'

const EXPIRE_WINDOWS_EVERY_MS = 3_600_000
const BATCH = 1_000

export interface ExpiryOptions {
  stores: ReadonlyMap<string, KeyValueStore<unknown, unknown> | WindowStore<unknown, unknown>>
  clock: { readonly streamTimeMs: number; readonly closingClockMs: number }
  state: Pick<TaskState, 'remove'>
}

/**
 * Lets go of what is over, after the commits of a task. Nobody sees it any more by then; this is what keeps engines and
 * changelogs from growing for ever.
 */
export class Expiry {
  #windowsAtStreamMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: ExpiryOptions) {}

  /**
   * - Windows past their store's retention are dropped once an hour of stream time. Retention is longer than size and
   *   grace, so no record can enter them any more. The changelog forgets them by its own retention.
   * - Values past their store's ttl are found, some at a time, and deleted by the next commit of the task.
   * @returns how many windows were dropped
   */
  async run(): Promise<number> {
    const { clock, stores } = this.options
    const windowsAreDue = clock.streamTimeMs >= this.#windowsAtStreamMs
    if (windowsAreDue) this.#windowsAtStreamMs = clock.streamTimeMs + EXPIRE_WINDOWS_EVERY_MS
    let count = 0
    for (const store of stores.values()) {
      if (store instanceof KeyValueStore) await store.findExpired()
      else if (windowsAreDue) count += await this.#dropWindows(store)
    }
    return count
  }

  async #dropWindows(store: WindowStore<unknown, unknown>): Promise<number> {
    const { clock, state } = this.options
    let count = 0
    let batch: Buffer[] = []
    for await (const key of store.expired(retainedFromMs(store.spec, clock))) {
      batch.push(key)
      count++
      if (batch.length < BATCH) continue
      await state.remove(batch)
      batch = []
    }
    if (batch.length > 0) await state.remove(batch)
    return count
  }
}
