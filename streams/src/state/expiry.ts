import type { TaskState } from './task-state.js'
import { KeyValueStore } from './key-value-store.js'
import { retainedFromMs, type WindowStore } from './window-store.js'

const EXPIRE_WINDOWS_EVERY_MS = 3_600_000
/** About 10 ms of work: looking at so many keys, or finding so many windows. */
const KEYS_AT_A_TIME = 200
const WINDOWS_AT_A_TIME = 1_000
/** And so many for each change, which is at most one more window of one more key: a round must outrun what comes meanwhile. */
const AT_A_TIME_PER_CHANGE = 4

export interface ExpiryOptions {
  stores: ReadonlyMap<string, KeyValueStore<unknown, unknown> | WindowStore<unknown, unknown>>
  clock: { readonly streamTimeMs: number; readonly closingClockMs: number }
  state: Pick<TaskState, 'remove'>
}

/**
 * Lets go of what is over, after the commits of a task, a little at a time: nobody waits for it, and the commits that come
 * after must not wait either. Nobody sees it any more by then; this is what keeps engines and changelogs from growing for
 * ever.
 */
export class Expiry {
  /** The round that is under way, between two keys. */
  #round: AsyncGenerator<readonly Buffer[]> | undefined
  #roundAtStreamMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: ExpiryOptions) {}

  /**
   * - Windows past their store's retention are dropped, in a round that begins once an hour of stream time. Retention is
   *   longer than size and grace, so no record can enter them any more. The changelog forgets them by its own retention.
   * - Values past their store's ttl are found and deleted by the next commit of the task.
   * @param changes how many entries were written since the last time
   * @returns how many windows were dropped
   */
  async run(changes: number): Promise<number> {
    for (const store of this.options.stores.values()) if (store instanceof KeyValueStore) await store.findExpired()
    return this.dropWindows(changes)
  }

  /** Of a standby, which is told of deleted values but not of dropped windows: the windows alone. See run(). */
  async dropWindows(changes: number): Promise<number> {
    const { clock, state } = this.options
    if (this.#round === undefined && clock.streamTimeMs >= this.#roundAtStreamMs) {
      this.#roundAtStreamMs = clock.streamTimeMs + EXPIRE_WINDOWS_EVERY_MS
      this.#round = this.#expiredWindows()
    }
    const keys = Math.max(KEYS_AT_A_TIME, AT_A_TIME_PER_CHANGE * changes)
    const windows = Math.max(WINDOWS_AT_A_TIME, AT_A_TIME_PER_CHANGE * changes)
    const expired: Buffer[] = []
    for (let looks = 0; looks < keys && expired.length < windows; looks++) {
      const found = await this.#round?.next()
      if (found === undefined || found.done) {
        this.#round = undefined
        break
      }
      expired.push(...found.value)
    }
    if (expired.length > 0) await state.remove(expired)
    return expired.length
  }

  async *#expiredWindows(): AsyncGenerator<readonly Buffer[]> {
    for (const store of this.options.stores.values()) {
      if (store instanceof KeyValueStore) continue
      yield* store.expired(retainedFromMs(store.spec, this.options.clock), WINDOWS_AT_A_TIME)
    }
  }
}
