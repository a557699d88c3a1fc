import { Backoff } from '../kafka/retry.js'

/** Between two calls for the same tasks: at first, and at most. */
const CALLED_AGAIN = { firstMs: 10_000, mostMs: 600_000 }

/**
 * The leader gives no task to a member that would have to restore it for long while another has it. It lets that one go
 * on and has the member warm up: once it has, it calls for the group to decide again. A call may be in vain, when the
 * leader finds another way to balance; the group has more to do than to decide again and again.
 */
export class WarmUpCalls {
  readonly #backoff = new Backoff(CALLED_AGAIN)
  #called = ''
  #againAtMs = Number.NEGATIVE_INFINITY

  /**
   * Whether to call now, because every task that is to be warm is.
   * @param tasks those the leader waits for
   */
  isDue(tasks: readonly string[], areWarm: boolean, nowMs: number): boolean {
    const names = tasks.join()
    const isNews = names !== this.#called
    if (!areWarm || (!isNews && nowMs < this.#againAtMs)) return false
    if (isNews) this.#backoff.reset()
    this.#called = names
    this.#againAtMs = nowMs + this.#backoff.next()
    return true
  }
}
