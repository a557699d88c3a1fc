import { tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import type { Trade } from '@candlewick/schemas/types'
import { createLogger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { readHeaders, visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'

export interface ReadTrade {
  key: string
  partition: number
  trade: Trade
}

export interface ReadDeadLetter {
  key: string | null
  value: Buffer
  headers: { key: string; value: Buffer | null }[]
}

/** Topics of a test's own on a real Kafka, and what is on them. */
export class TestTopics {
  readonly prefix = `feed-${process.pid}-${Math.random().toString(36).slice(2, 8)}-`
  readonly names = topicNames(this.prefix)
  readonly #client: KafkaClient
  readonly #admin: KafkaAdmin

  constructor(brokers: string) {
    const log = createLogger('test', 'silent')
    this.#client = new KafkaClient({ brokers: [brokers], clientId: 'feed-test' }, log)
    this.#admin = new KafkaAdmin(this.#client)
  }

  async create(partitions = 3): Promise<void> {
    await this.#client.connect()
    await this.#admin.createTopics(topicSpecs({ partitions, replicationFactor: 1, prefix: this.prefix }))
  }

  /** Everything on `trades` at the time of the call, each partition in its order. */
  async trades(): Promise<ReadTrade[]> {
    const trades: ReadTrade[] = []
    await this.#read(this.names.trades, (partition, bytes, keyStart, keyEnd, start, end) => {
      const key = bytes.toString('utf8', keyStart, keyEnd)
      trades.push({ key, partition, trade: tradeCodec.decode(bytes, start, end) })
    })
    return trades
  }

  async deadLetters(): Promise<ReadDeadLetter[]> {
    const letters: ReadDeadLetter[] = []
    await this.#read(this.names.deadLetters, (_partition, bytes, keyStart, keyEnd, start, end, headersStart) => {
      letters.push({
        key: keyEnd < keyStart ? null : bytes.toString('utf8', keyStart, keyEnd),
        value: Buffer.from(bytes.subarray(start, end)),
        headers: readHeaders(bytes, headersStart),
      })
    })
    return letters
  }

  async close(): Promise<void> {
    await this.#admin.deleteTopics(Object.values(this.names))
    await this.#client.close()
  }

  async #read(
    topic: string,
    visit: (
      ...record: [
        partition: number,
        bytes: Buffer,
        keyStart: number,
        keyEnd: number,
        start: number,
        end: number,
        headersStart: number,
      ]
    ) => void,
  ): Promise<void> {
    const reader = new TopicReader(this.#client, {
      topics: [topic],
      startAt: 'earliest',
      isolation: 'read_committed',
      log: createLogger('test', 'silent'),
      onChunk: (chunk) => {
        visitRecords(chunk, 'read_committed', (_offset, _timestampMs, bytes, keyStart, keyEnd, start, end, headers) =>
          visit(chunk.partition, bytes, keyStart, keyEnd, start, end, headers),
        )
      },
    })
    try {
      await reader.start()
      await reader.caughtUp()
    } finally {
      await reader.close()
    }
  }
}
