import { setTimeout as delay } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { schedule, SLOT_MS, type ScheduleOptions } from './schedule.js'
import { Trades, type TradeRecord } from './trades.js'

const MINUTE_MS = 60_000
const DAY_MS = 1_440 * MINUTE_MS
/** Event time runs through so much, with a midnight in the middle: bars of every length close. */
const SPAN_MS = 200 * MINUTE_MS
const MAX_BATCH = 2_000
const RETRY_AFTER_MS = 300

export interface LoadOptions extends ScheduleOptions {
  producer: Producer
  topic: string
  signal: AbortSignal
}

/**
 * Sends what the seed has, by KafkaJS's own producer and straight to the topic. While the broker is away nothing is
 * skipped: it is sent as soon as that is back, and a batch whose answer was lost is sent again, for what counts is what
 * stands on the topic.
 */
export class Load {
  readonly trades: Trades
  /** Acknowledged. */
  sent = 0
  sentAgain = 0
  unusable = 0
  /** Everything was sent. */
  isThrough = false
  readonly #options: LoadOptions
  readonly #startMs: number

  constructor(options: LoadOptions) {
    this.#options = options
    const { seed, partitions } = options
    this.trades = new Trades({ seed, partitions, nowMs: () => Date.now() })
    this.#startMs = eventStartMs(Date.now())
  }

  /** Resolves when everything was sent, or the signal said to stop. */
  async run(): Promise<void> {
    const slots = schedule(this.#options)
    const startedMs = performance.now()
    let batch: TradeRecord[] = []
    for (const [at, slot] of slots.entries()) {
      if (this.#options.signal.aborted) return
      this.trades.leaveIdle(slot.idle)
      const eventMs = this.#startMs + (SPAN_MS * at) / slots.length
      for (let n = 0; n < slot.records; n++) {
        batch.push(this.trades.next(eventMs + (SPAN_MS * n) / slot.records / slots.length))
        if (batch.length < MAX_BATCH) continue
        await this.#send(batch)
        batch = []
      }
      await this.#send(batch)
      batch = []
      const aheadMs = (at + 1) * SLOT_MS - (performance.now() - startedMs)
      if (aheadMs > 0) await delay(aheadMs)
    }
    this.isThrough = true
  }

  /** The last word of every symbol. @returns price by symbol */
  async sendSentinels(): Promise<Map<string, number>> {
    const prices = new Map(this.trades.symbols.map((symbol, index): [string, number] => [symbol, 1_000_000 + index]))
    const eventMs = this.#startMs + SPAN_MS + MINUTE_MS
    await this.#send([...prices].map(([symbol, price]) => this.trades.sentinel(symbol, price, eventMs)))
    return prices
  }

  async #send(records: readonly TradeRecord[]): Promise<void> {
    if (records.length === 0) return
    const { producer, topic, signal } = this.#options
    const messages = records.map(({ key, value, partition, unusable }) => {
      return { key, value, partition, ...(unusable !== undefined && { headers: { unusable } }) }
    })
    for (;;) {
      try {
        await producer.send({ topic, messages, acks: -1 })
        break
      } catch {
        if (signal.aborted) return
        this.sentAgain += records.length
        await delay(RETRY_AFTER_MS)
      }
    }
    this.sent += records.length
    this.unusable += records.filter(({ unusable }) => unusable !== undefined).length
  }
}

/** The last midnight that leaves the whole span in the past, less half the span. */
function eventStartMs(nowMs: number): number {
  const midnightMs = Math.floor((nowMs - SPAN_MS / 2 - 2 * MINUTE_MS) / DAY_MS) * DAY_MS
  return midnightMs - SPAN_MS / 2
}
