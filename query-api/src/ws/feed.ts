import { barCodec, prepareCodecs, tradeCodec } from '@candlewick/schemas/codecs'
import { ruleOf } from '@candlewick/schemas/conditions'
import type { KafkaClient } from '@candlewick/streams/kafka/client'
import type { KafkaLog } from '@candlewick/streams/kafka/config'
import { visitRecords, type FetchedChunk } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'
import type { ApiMetrics } from '../metrics.js'
import type { LatestMarket } from './latest-market.js'

export interface FeedOptions {
  topics: { trades: string; bars: string }
  market: LatestMarket
  metrics: ApiMetrics
  log: KafkaLog
}

const ISOLATION = 'read_committed'

/** Follows the topics from their end and tells the market what comes. Committed records only: no bar that is taken back. */
export class Feed {
  readonly #reader: TopicReader
  readonly #options: FeedOptions
  #following = false
  #closed = false

  constructor(client: KafkaClient, options: FeedOptions) {
    const { topics, log } = options
    this.#options = options
    this.#reader = new TopicReader(client, {
      topics: [topics.trades, topics.bars],
      startAt: 'latest',
      isolation: ISOLATION,
      onChunk: (chunk) => this.#take(chunk),
      log,
    })
  }

  /** Whether Kafka was reached and the topics' ends are known: from here on nothing is missed. */
  get isFollowing(): boolean {
    return this.#following
  }

  /** Resolves when following; waits while Kafka is away. */
  async start(): Promise<void> {
    await prepareCodecs()
    await this.#reader.start()
    this.#following = !this.#closed
  }

  /** Resolves when all that was in the topics at the time of the call has reached the market. */
  caughtUp(): Promise<void> {
    return this.#reader.caughtUp()
  }

  close(): Promise<void> {
    this.#closed = true
    this.#following = false
    return this.#reader.close()
  }

  #take(chunk: FetchedChunk): void {
    const { topics, market, metrics, log } = this.#options
    const { topic, partition } = chunk
    let records = 0
    let undecodable = 0
    const next = visitRecords(
      chunk,
      ISOLATION,
      (offset, _timestampMs, bytes, _keyStart, _keyEnd, valueStart, valueEnd) => {
        records++
        if (valueEnd < valueStart) return // a tombstone: nothing of ours, nothing to show
        try {
          if (topic === topics.bars) {
            market.bar(barCodec.decode(bytes, valueStart, valueEnd))
          } else {
            const trade = tradeCodec.decode(bytes, valueStart, valueEnd)
            const { symbol, price, volume, timestamp } = trade
            if (ruleOf(trade).setsLast) market.price({ symbol, price, volume, time: timestamp })
          }
        } catch (error) {
          // The processor dead-letters it; a price list has nobody to give it to.
          if (undecodable++ === 0)
            log.warn({ err: error, topic, partition, offset }, 'a record of the feed is unreadable')
        }
      },
    )
    metrics.feedRecords.inc({ topic }, records)
    metrics.feedUndecodable.inc({ topic }, undecodable)
    metrics.feedLag.set({ topic, partition }, Math.max(0, chunk.lastStableOffset - next))
  }
}
