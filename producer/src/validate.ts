import type { Trade } from '@candlewick/schemas/types'
import type { UncheckedTrade } from './trade-source.js'

/** Exchanges' clocks run ahead of ours a little; a trade further ahead than this is a mistake. */
export const MAX_AHEAD_MS = 5 * 60_000

const MAX_CONDITIONS = 100
const MAX_CONDITION_LENGTH = 64

/** What is wrong with a trade, in one word each. */
export type InvalidTrade = 'symbol' | 'price' | 'volume' | 'timestamp' | 'timestamp-ahead' | 'conditions'

export type Verdict =
  | { readonly kind: 'valid'; readonly trade: Trade }
  | { readonly kind: 'invalid'; readonly reason: InvalidTrade; readonly detail: string }

/** `AAPL`, `BINANCE:BTCUSDT`, `IC MARKETS:1`: nearly all symbols are plain ASCII. */
const PLAIN_SYMBOL = /^[\x21-\x7e]{1,64}$/
/** 1 to 64 printable characters of any script, not blanks alone; no control, format or half characters. */
const PRINTABLE_SYMBOL = /^(?=.*\S)[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u

/** @returns whether a text can be a symbol: 1 to 64 printable characters */
export function isSymbol(text: string): boolean {
  return PLAIN_SYMBOL.test(text) || PRINTABLE_SYMBOL.test(text)
}

/**
 * Checks a trade as it came from a feed.
 * @param context who sent it and when it arrived (the clock `timestamp` is held against)
 */
export function validateTrade(unchecked: UncheckedTrade, context: { source: string; receivedAtMs: number }): Verdict {
  const { symbol, price, volume, timestamp, conditions } = unchecked
  if (typeof symbol !== 'string' || !isSymbol(symbol)) {
    return invalid('symbol', 'the symbol is not 1 to 64 printable characters')
  }
  if (typeof price !== 'number' || !Number.isFinite(price) || price <= 0) {
    return invalid('price', 'the price is not a finite number above 0')
  }
  // 0 is a price update (forex, indices): kept, it moves the last price.
  if (typeof volume !== 'number' || !Number.isFinite(volume) || volume < 0) {
    return invalid('volume', 'the volume is not a finite number of 0 or more')
  }
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp) || timestamp <= 0) {
    return invalid('timestamp', 'the timestamp is not a whole number of milliseconds above 0')
  }
  if (timestamp > context.receivedAtMs + MAX_AHEAD_MS) {
    return invalid('timestamp-ahead', `the timestamp is ${timestamp - context.receivedAtMs} ms ahead of the clock`)
  }
  if (conditions != null && !areConditions(conditions)) {
    return invalid('conditions', `the conditions are not a list of up to ${MAX_CONDITIONS} short texts`)
  }
  return {
    kind: 'valid',
    trade: {
      symbol,
      price,
      volume,
      timestamp,
      receivedAt: context.receivedAtMs,
      source: context.source,
      conditions: conditions ?? null,
    },
  }
}

function areConditions(conditions: unknown): conditions is string[] {
  return (
    Array.isArray(conditions) &&
    conditions.length <= MAX_CONDITIONS &&
    conditions.every((code) => typeof code === 'string' && code.length <= MAX_CONDITION_LENGTH)
  )
}

function invalid(reason: InvalidTrade, detail: string): Verdict {
  return { kind: 'invalid', reason, detail }
}
