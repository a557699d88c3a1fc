import { readFileSync } from 'node:fs'
import avsc from 'avsc'
import { Partitioners } from 'kafkajs'
import { Market } from '@candlewick/dev/exchange/market'
import { createRandom, type Random } from '@candlewick/dev/exchange/random'
import { between, oneOf } from './chance.js'

/** A record for the topic `trades`. */
export interface TradeRecord {
  key: Buffer | null
  value: Buffer | null
  partition: number
  /** Told in a header of the record: why nothing can be made of it. */
  unusable?: Unusable
}

/** Records that a reader must put aside: what cannot be decoded, and what breaks a rule of trades. */
export const UNDECODABLE = ['garbage', 'truncated', 'unknown schema', 'no value', 'no key'] as const
export const RULE_BREAKING = ['another key', 'price', 'volume', 'timestamp', 'far ahead'] as const
export type Unusable = (typeof UNDECODABLE)[number] | (typeof RULE_BREAKING)[number]

/** Of so many records one is unusable. */
const ONE_UNUSABLE_IN = 2_000
const SYMBOLS = 240
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** The fixed table of schemas/: the trade's id. */
const TRADE_SCHEMA_ID = 1

const schema = new URL('../../../schemas/trade.avsc', import.meta.url)
const tradeType = avsc.Type.forSchema(JSON.parse(readFileSync(schema, 'utf8')) as avsc.Schema)
const choosePartition = Partitioners.DefaultPartitioner()

export interface TradesOptions {
  seed: string
  partitions: number
  /** Wall clock, for what must lie ahead of it. */
  nowMs: () => number
}

/** Trades as the seed has them: late ones, price updates, odd lots, and some that nothing can be made of. */
export class Trades {
  readonly symbols: readonly string[]
  readonly #random: Random
  readonly #market: Market
  readonly #partitions: number
  readonly #nowMs: () => number
  #idle: ReadonlySet<number> = new Set()

  constructor({ seed, partitions, nowMs }: TradesOptions) {
    this.#random = createRandom(`${seed}/trades`)
    this.#market = new Market({ seed, symbols: SYMBOLS })
    this.#partitions = partitions
    this.#nowMs = nowMs
    this.symbols = this.#market.symbols
    this.#market.trade(this.symbols)
  }

  /** From now on these partitions get nothing. */
  leaveIdle(partitions: ReadonlySet<number>): void {
    if (partitions === this.#idle) return
    this.#idle = partitions
    this.#market.trade(this.symbols.filter((symbol) => !partitions.has(this.partitionOf(symbol))))
  }

  partitionOf(symbol: string): number {
    return partitionOf(Buffer.from(symbol), this.#partitions)
  }

  /** @param eventMs the time of the trade, unless it is a late one */
  next(eventMs: number): TradeRecord {
    const { s, p, v, c, t } = this.#market.next(eventMs)!
    const trade = {
      symbol: s,
      price: p,
      volume: v,
      timestamp: t - this.#latenessMs(),
      receivedAt: this.#nowMs(),
      source: 'faults',
      conditions: c ?? null,
    }
    if (between(this.#random, [1, ONE_UNUSABLE_IN]) === 1) return this.#unusable(trade)
    return this.#record(trade)
  }

  /** The last words of a symbol: a price that says which, later than everything else. */
  sentinel(symbol: string, price: number, eventMs: number): TradeRecord {
    const base = { symbol, price, volume: 1, timestamp: eventMs, receivedAt: this.#nowMs() }
    return this.#record({ ...base, source: 'faults', conditions: null })
  }

  /** Mostly none; else seconds (the bar is open), minutes (it is announced), or hours (it is long gone). */
  #latenessMs(): number {
    const kind = this.#random()
    if (kind < 0.96) return 0
    if (kind < 0.99) return between(this.#random, [1_000, 60_000])
    if (kind < 0.999) return between(this.#random, [MINUTE_MS, 30 * MINUTE_MS])
    return between(this.#random, [HOUR_MS, 18 * HOUR_MS])
  }

  #record(trade: { symbol: string } & Record<string, unknown>, key = trade.symbol): TradeRecord {
    const bytes = Buffer.from(key)
    return { key: bytes, value: encode(trade), partition: partitionOf(bytes, this.#partitions) }
  }

  #unusable(trade: { symbol: string; price: number } & Record<string, unknown>): TradeRecord {
    const random = this.#random
    const good = this.#record(trade)
    const unusable = oneOf<Unusable>(random, [...UNDECODABLE, ...RULE_BREAKING])
    const wrong = (fields: object) => ({ ...this.#record({ ...trade, ...fields }), unusable })
    switch (unusable) {
      case 'garbage':
        return { ...good, unusable, value: Buffer.from(Array.from({ length: 40 }, () => between(random, [1, 255]))) }
      case 'truncated':
        return { ...good, unusable, value: good.value!.subarray(0, between(random, [0, good.value!.length - 1])) }
      case 'unknown schema':
        good.value!.writeInt32BE(99, 1)
        return { ...good, unusable }
      case 'no value':
        return { ...good, unusable, value: null }
      case 'no key':
        return { ...good, unusable, key: null }
      case 'another key':
        return { ...this.#record(trade, `${trade.symbol}X`), unusable }
      case 'price':
        return wrong({ price: oneOf(random, [0, -trade.price, NaN, Infinity]) })
      case 'volume':
        return wrong({ volume: oneOf(random, [-1, NaN, Infinity]) })
      case 'timestamp':
        return wrong({ timestamp: oneOf(random, [0, -1]) })
      case 'far ahead':
        return wrong({ timestamp: this.#nowMs() + HOUR_MS })
    }
  }
}

function partitionOf(key: Buffer, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => {
    return { partitionId, leader: 0, replicas: [], isr: [], partitionErrorCode: 0 }
  })
  return choosePartition({ topic: 'trades', message: { key, value: null }, partitionMetadata })
}

/** Confluent's wire format. */
function encode(trade: object): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(TRADE_SCHEMA_ID, 1)
  return Buffer.concat([header, tradeType.toBuffer(trade)])
}
