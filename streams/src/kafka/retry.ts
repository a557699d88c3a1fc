import { setTimeout as sleep } from 'node:timers/promises'

/** Waiting times between tries: doubling from `firstMs` to `mostMs`, each shortened by up to a fifth so clients do not march in step. */
export class Backoff {
  readonly #firstMs: number
  readonly #mostMs: number
  #nextMs: number

  constructor({ firstMs = 50, mostMs = 1000 }: { firstMs?: number; mostMs?: number } = {}) {
    this.#firstMs = firstMs
    this.#mostMs = mostMs
    this.#nextMs = firstMs
  }

  /** The wait before the next try. */
  next(): number {
    const waitMs = this.#nextMs
    this.#nextMs = Math.min(waitMs * 2, this.#mostMs)
    return waitMs * (1 - Math.random() / 5)
  }

  /** After a success. */
  reset(): void {
    this.#nextMs = this.#firstMs
  }
}

export interface RetryOptions {
  /** Whether `error` may go away by itself. Everything else is thrown at once. */
  retriable(error: unknown): boolean
  /** How long to go on; afterwards the last error is thrown. */
  forMs: number
  firstMs?: number
  mostMs?: number
  /** Aborting it ends the wait; the last error is thrown. */
  signal?: AbortSignal
}

/** Calls `attempt` until it succeeds, with growing waits, within a bound of time. */
export async function retrying<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const backoff = new Backoff(options)
  const deadline = performance.now() + options.forMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const waitMs = backoff.next()
      if (!options.retriable(error) || performance.now() + waitMs > deadline) throw error
      if (!(await pause(waitMs, options.signal))) throw error
    }
  }
}

/** Waits; false if the signal ended it. */
export async function pause(waitMs: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await sleep(waitMs, undefined, { ...(signal !== undefined && { signal }) })
    return true
  } catch {
    return false
  }
}
