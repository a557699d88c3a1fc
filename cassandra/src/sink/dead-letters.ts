import { deadLetterRecord } from '@candlewick/streams/kafka/dead-letter'
import type { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import type { Log } from '../client.js'
import { codeOf } from '../errors.js'
import type { RejectedRecord, SourceRecord } from './plan.js'

/** Dead letters are rare; more than this at a time wait for the broker. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024

/**
 * Puts records that no table can hold on the dead-letter topic: their bytes as they came, with headers that say where
 * from and why. The producer starts with the first of them.
 */
export class DeadLetters {
  private producer: Promise<IdempotentProducer> | undefined

  constructor(
    private readonly client: KafkaClient,
    private readonly topic: string,
    private readonly log: Log,
  ) {}

  /** Resolves when the broker has them all, however long it is away. A chunk that is handled again puts them again. */
  async put(topic: string, partition: number, records: readonly RejectedRecord[]): Promise<void> {
    if (records.length === 0) return
    const producer = await this.started()
    for (const { source, error } of records) {
      const timeMs = Date.now()
      const record = { topic, partition, offset: source.offset }
      const about = { exception: codeOf(error), message: error.message, timeMs, record }
      const { key: ownKey, value: ownValue } = bytesOf(source)
      const { key, value, headers } = deadLetterRecord(about, ownKey, ownValue)
      while (!producer.send(this.topic, null, key, value, timeMs, headers)) {
        await producer.whenBelow(MAX_BUFFERED_BYTES / 2)
      }
    }
    await producer.flush()
    const first = records[0]!
    this.log.warn(
      { topic, partition, records: records.length, offset: first.source.offset, reason: first.error.message },
      `records that no table can hold were put on ${this.topic}`,
    )
  }

  async close(): Promise<void> {
    const producer = await this.producer?.catch(() => undefined)
    await producer?.close()
  }

  /** A start that failed is not the last. */
  private started(): Promise<IdempotentProducer> {
    this.producer ??= this.start().catch((error: unknown) => {
      this.producer = undefined
      throw error
    })
    return this.producer
  }

  /** @throws KafkaError, e.g. while the dead-letter topic does not exist: then the chunk is handled again later */
  private async start(): Promise<IdempotentProducer> {
    await this.client.watchTopics([this.topic])
    const producer = new IdempotentProducer(this.client, {
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      onRejected: (records, error) => {
        this.log.error({ records: records.length, reason: error.message }, `${this.topic} refused dead letters`)
      },
    })
    await producer.start()
    return producer
  }
}

/** Copies of the record's key and value: the chunk they lie in is not kept. */
function bytesOf({ bytes, keyStart, keyEnd, valueStart, valueEnd }: SourceRecord) {
  const copy = (start: number, end: number) => (end < start ? null : Buffer.from(bytes.subarray(start, end)))
  return { key: copy(keyStart, keyEnd), value: copy(valueStart, valueEnd) }
}
