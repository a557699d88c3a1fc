import type { KafkaClient } from './client.js'
import { toKafkaError, type Concerns, type KafkaError } from './errors.js'
import { Backoff, pause } from './retry.js'

/** While the transaction before is still being written to its partitions, a few milliseconds are all it takes. */
export const CONCURRENT = { firstMs: 2, mostMs: 100 }

export interface Coordinated {
  kind: 'group' | 'transaction'
  key: string
  concerns: Concerns
}

export interface PatienceOptions {
  /** performance.now() until which is tried. */
  deadlineMs: number
  /** Until when, for errors that are to be given up sooner. */
  soonerMs?: (error: KafkaError) => number | undefined
  /** Whether a request whose answer was lost may be sent again. */
  repeatLost?: boolean
}

/**
 * Repeats what a coordinator refused for now, finding it anew, until the deadline. A lost answer is thrown at once, unless
 * the request may be repeated.
 */
export async function retryingRefusals(
  client: KafkaClient,
  { kind, key, concerns }: Coordinated,
  { deadlineMs, soonerMs, repeatLost = false }: PatienceOptions,
  attempt: () => Promise<void>,
): Promise<void> {
  const concurrent = new Backoff(CONCURRENT)
  const moved = new Backoff()
  for (;;) {
    try {
      await attempt()
      return
    } catch (cause) {
      const error = toKafkaError(cause, true, concerns)
      const busy = error.name === 'CONCURRENT_TRANSACTIONS'
      if (!busy && error.retriable) client.forgetCoordinator(kind, key)
      const waitMs = busy ? concurrent.next() : moved.next()
      const lost = error.outcomeUnknown && !repeatLost
      const untilMs = Math.min(deadlineMs, soonerMs?.(error) ?? Number.POSITIVE_INFINITY)
      if (!error.retriable || lost || performance.now() + waitMs > untilMs) throw error
      if (!(await pause(waitMs, client.closing))) throw error
    }
  }
}
