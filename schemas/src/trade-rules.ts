import type { Trade } from './types.js'

/** Exchanges' clocks run ahead of ours a little; a trade further ahead than this is a mistake. */
export const MAX_AHEAD_MS = 5 * 60_000

/** No market quotes above these; sums of what they let in stay finite for longer than any market lives. */
export const MAX_PRICE = 1e12
export const MAX_VOLUME = 1e15

const MAX_CONDITIONS = 100
const MAX_CONDITION_LENGTH = 64

/** What is wrong with a trade, in one word each. */
export type TradeMistakeReason = 'symbol' | 'price' | 'volume' | 'timestamp' | 'timestamp-ahead' | 'conditions'

export interface TradeMistake {
  readonly reason: TradeMistakeReason
  /** One sentence for the one who looks at the dead letter. */
  readonly detail: string
}

/** A trade of which nothing is believed yet: as a feed tells it, or as somebody put it on the topic. */
export interface UncheckedTrade {
  readonly symbol: unknown
  readonly price: unknown
  readonly volume: unknown
  readonly timestamp: unknown
  readonly conditions: unknown
}

/** `AAPL`, `BINANCE:BTCUSDT`, `IC MARKETS:1`: nearly all symbols are plain ASCII. */
const PLAIN_SYMBOL = /^[\x21-\x7e]{1,64}$/
/** 1 to 64 printable characters of any script, not blanks alone; no control, format or half characters, none that a decoder replaced. */
const PRINTABLE_SYMBOL = /^(?=.*\S)[^\p{C}\p{Zl}\p{Zp}\ufffd]{1,64}$/u

/** @returns whether a text can be a symbol: 1 to 64 printable characters */
export function isSymbol(text: string): boolean {
  return PLAIN_SYMBOL.test(text) || PRINTABLE_SYMBOL.test(text)
}

/**
 * The rules that every trade keeps: the producer holds what a feed sends against them, the processors what they read.
 * @param clockMs what `timestamp` is held against: when the trade arrived, epoch ms
 * @returns undefined for a trade that keeps them all
 */
export function tradeMistake(trade: UncheckedTrade, clockMs: number): TradeMistake | undefined {
  const { symbol, price, volume, timestamp, conditions } = trade
  if (typeof symbol !== 'string' || !isSymbol(symbol)) {
    return { reason: 'symbol', detail: 'the symbol is not 1 to 64 printable characters' }
  }
  if (typeof price !== 'number' || !(price > 0 && price <= MAX_PRICE)) {
    return { reason: 'price', detail: `the price is not a number above 0 and up to ${MAX_PRICE}` }
  }
  // 0 is a price update (forex, indices): kept, it moves the last price.
  if (typeof volume !== 'number' || !(volume >= 0 && volume <= MAX_VOLUME)) {
    return { reason: 'volume', detail: `the volume is not a number from 0 to ${MAX_VOLUME}` }
  }
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp) || timestamp <= 0) {
    return { reason: 'timestamp', detail: 'the timestamp is not a whole number of milliseconds above 0' }
  }
  if (timestamp > clockMs + MAX_AHEAD_MS) {
    return { reason: 'timestamp-ahead', detail: `the timestamp is ${timestamp - clockMs} ms ahead of the clock` }
  }
  if (conditions != null && !areConditions(conditions)) {
    return { reason: 'conditions', detail: `the conditions are not a list of up to ${MAX_CONDITIONS} short texts` }
  }
  return undefined
}

/**
 * What is wrong with a trade on the topic: others may write to it too, and what breaks a rule would spoil the state of
 * its symbol, or the clock of its partition.
 * @param key the record's key
 * @param appendedMs when the broker took the record, epoch ms
 */
export function tradeComplaint(trade: Trade, key: string, appendedMs: number): string | undefined {
  if (trade.symbol !== key) return 'the key is not the symbol of the trade'
  return tradeMistake(trade, appendedMs)?.detail
}

function areConditions(conditions: unknown): conditions is string[] {
  return (
    Array.isArray(conditions) &&
    conditions.length <= MAX_CONDITIONS &&
    conditions.every((code) => typeof code === 'string' && code.length <= MAX_CONDITION_LENGTH)
  )
}
