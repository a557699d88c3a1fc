import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './logger.js'
import { integer } from './settings.js'

/** Of jobs that start together with the server they need. */
export const WAITING_SETTINGS = {
  WAIT_FOR_SERVER_S: integer(
    0,
    3_600,
  )({ default: 0, desc: 'how long a job tries to reach Kafka or Cassandra before it fails; 0 = one try' }),
}

const PAUSE_MS = { first: 250, longest: 3_000 }

/**
 * Tries again, with growing pauses, while there is time and another try may help; each new reason to wait is logged once.
 * @throws what the last try threw
 */
export async function tryFor<T>(
  seconds: number,
  attempt: () => Promise<T>,
  { log, mayPass = () => true }: { log: Logger; mayPass?: (error: unknown) => boolean },
): Promise<T> {
  const deadlineMs = performance.now() + seconds * 1000
  let told: string | undefined
  for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
    try {
      return await attempt()
    } catch (error) {
      if (!mayPass(error) || performance.now() + pauseMs > deadlineMs) throw error
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== told) log.warn({ reason }, 'waiting for the server')
      told = reason
    }
    await sleep(pauseMs)
  }
}
