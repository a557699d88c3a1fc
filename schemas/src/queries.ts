import type { Interval } from './intervals.js'
import type { Average, Bar } from './types.js'

/**
 * The interactive queries a processor answers: names, parameters and JSON results, shared with who asks.
 * Parameters travel as texts; times are epoch milliseconds. All results are committed state.
 */
export interface MarketQueries {
  /** Without a key: the symbols of a task behind `after`, ascending; at most `limit` of them, absent = all. */
  symbols: { params: { limit?: string; after?: string }; result: SymbolSummary[] }
  /** Key = symbol. Not found when the symbol was never seen. */
  symbol: { params: Record<never, string>; result: SymbolSummary }
  /** Key = symbol. `window` in ms: a multiple of 5,000 up to 24 h; absent = all trades ever. */
  average: { params: { window?: string }; result: SymbolAverage }
  /**
   * Key = symbol. Bars that overlap `from`..`to`, both inclusive; absent = unbounded. The newest `limit` (default and
   * most: MAX_BARS), ascending by start. The open bar is included with closed = false.
   */
  bars: { params: { interval: Interval; from?: string; to?: string; limit?: string }; result: Bar[] }
}

export type MarketQueryName = keyof MarketQueries

/** Whose task answers each of them: a store of the processor, by its name. */
export const QUERY_STORES: Readonly<Record<MarketQueryName, string>> = {
  symbols: 'averages',
  symbol: 'averages',
  average: 'averages',
  bars: 'averages',
}

/** Most bars one answer holds. */
export const MAX_BARS = 5000
/** A moving average's window is a multiple of this. */
export const WINDOW_STEP_MS = 5_000
/** The longest moving average's window. */
export const MAX_WINDOW_MS = 24 * 60 * 60 * 1000

export interface SymbolSummary {
  symbol: string
  /** Last price and its event time; null while there is none. */
  last: number | null
  lastTime: number | null
  average: Average
  /** The newest minute that has a price, open or closed; null while there is none. */
  minute: Bar | null
  /** The day it lies in, so far. */
  day: Bar | null
}

export interface SymbolAverage {
  symbol: string
  /** null = over all trades. */
  windowMs: number | null
  count: number
  volume: number
  notional: number
  /** sum(price) / count; null while count is 0. */
  mean: number | null
  /** notional / volume; null while volume is 0. */
  vwap: number | null
  /** notional / count; null while count is 0. */
  priceVolumeMean: number | null
  /** What was covered: from (inclusive) to (exclusive), epoch ms; for all trades, first and last event time. */
  from: number | null
  to: number | null
  /** For a window: where it ends, a multiple of 5 s. For all trades: the newest event time folded in. */
  asOf: number
}
