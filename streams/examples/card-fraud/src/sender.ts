import type { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import type { Generated } from './generator.js'
import { paymentSerde } from './payment.js'

/** Puts what was generated on the topic, under the card as its key. */
export class PaymentSender {
  readonly #producer: IdempotentProducer
  sent = 0

  constructor(
    private readonly client: KafkaClient,
    private readonly topic: string,
  ) {
    this.#producer = new IdempotentProducer(client, { maxBufferedBytes: 8 << 20 })
  }

  async start(): Promise<void> {
    await this.client.watchTopics([this.topic])
    await this.#producer.start()
  }

  /** Resolves when Kafka has them all. */
  async send(items: Iterable<Generated>): Promise<void> {
    for (const item of items) {
      const [card, value] =
        item.kind === 'payment'
          ? [item.payment.card, paymentSerde.encode(item.payment)]
          : [item.card, Buffer.from(item.text)]
      // A full buffer takes nothing: Kafka is slow or away, and payments can wait.
      while (!this.#producer.send(this.topic, null, Buffer.from(card), value, Date.now())) {
        await this.#producer.whenBelow(4 << 20)
      }
      this.sent++
    }
    await this.#producer.flush()
  }

  close(): Promise<void> {
    return this.#producer.close()
  }
}

/** The next so many. */
export function* take<T>(items: Iterator<T>, count: number): Generator<T> {
  for (let n = 0; n < count; n++) {
    const { done, value } = items.next()
    if (done) return
    yield value
  }
}
