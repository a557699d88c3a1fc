import type { KafkaLog } from './config.js'
import type { KafkaError } from './errors.js'
import type { PartitionQueue } from './partition-queue.js'

/** Whether everything goes through, or something is tried again. */
export type ProducerState = 'ok' | 'retrying'

/** Whether deliveries go through: told once when the first partition begins to fail, and once when none fails any more. */
export class DeliveryState {
  readonly #log: KafkaLog
  readonly #listener: { onState?(state: ProducerState, error?: KafkaError): void }
  readonly #failing = new Set<PartitionQueue>()

  constructor(log: KafkaLog, listener: { onState?(state: ProducerState, error?: KafkaError): void }) {
    this.#log = log
    this.#listener = listener
  }

  failed(queue: PartitionQueue, error: KafkaError): void {
    if (this.#failing.size === 0) {
      this.#log.warn({ error: error.message }, 'producing fails, retrying')
      this.#listener.onState?.('retrying', error)
    }
    this.#failing.add(queue)
  }

  wentThrough(queue: PartitionQueue): void {
    if (!this.#failing.delete(queue) || this.#failing.size > 0) return
    this.#log.info({}, 'producing works again')
    this.#listener.onState?.('ok')
  }
}
