import type { KafkaLog } from './config.js'
import type { KafkaError } from './errors.js'

/** Stands for the cluster where nobody answers and no broker in particular can be named. */
const ALL = 'all'

/** One line in the log when a broker is lost and one when it is back, however many requests fail in between. */
export class LostBrokers {
  readonly #log: KafkaLog
  /** performance.now() of the loss, by host:port. */
  readonly #lostAtMs = new Map<string, number>()

  constructor(log: KafkaLog) {
    this.#log = log
  }

  lost(failure: KafkaError): void {
    const broker = failure.concerns.broker ?? ALL
    // That none answers is news only if none was reported yet.
    if (this.#lostAtMs.has(broker) || (broker === ALL && this.#lostAtMs.size > 0)) return
    this.#lostAtMs.set(broker, performance.now())
    this.#log.warn({ broker, error: failure.message }, 'Kafka broker lost')
  }

  /** A broker has answered. @param address host:port */
  reached(address: string): void {
    if (this.#lostAtMs.size === 0) return
    for (const broker of [address, ALL]) {
      const lostAtMs = this.#lostAtMs.get(broker)
      if (lostAtMs === undefined) continue
      this.#lostAtMs.delete(broker)
      this.#log.info({ broker, lostForMs: Math.round(performance.now() - lostAtMs) }, 'Kafka broker is back')
    }
  }
}
