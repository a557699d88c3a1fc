import { ruleOf } from '@candlewick/schemas/conditions'
import type { Interval } from '@candlewick/schemas/intervals'
import type { Bar, Trade } from '@candlewick/schemas/types'
import { keepEarlier, keepLater, NEVER, noPrice, type PricePoint } from './price-point.js'
import { addToTotals, emptyTotals, mergeTotals, meansOf, type Totals } from './totals.js'

/**
 * A bar of any length as it is stored: a monoid. Counts, prices and times merge exactly and in any order; sums merge
 * to the same bits when merged in the same order, which is ascending everywhere.
 */
export interface BarState {
  totals: Totals
  open: PricePoint
  close: PricePoint
  /** -Infinity until a trade may set it. */
  high: number
  /** Infinity until a trade may set it. */
  low: number
}

export function emptyBar(): BarState {
  return {
    totals: emptyTotals(),
    open: noPrice(),
    close: noPrice(),
    high: Number.NEGATIVE_INFINITY,
    low: Number.POSITIVE_INFINITY,
  }
}

/** True for trades that enter bars; price updates and official prints open none. */
export function entersBars(trade: Trade): boolean {
  return ruleOf(trade).counts
}

/** Folds one trade in; trades that do not enter bars change nothing. */
export function addToBar(state: BarState, trade: Trade, offset: number): void {
  const { price, volume, timestamp } = trade
  const rule = ruleOf(trade)
  if (!rule.counts) return
  addToTotals(state.totals, price, volume)
  if (rule.setsRange) {
    if (price > state.high) state.high = price
    if (price < state.low) state.low = price
  }
  if (rule.setsClose) {
    keepEarlier(state.open, price, timestamp, offset)
    keepLater(state.close, price, timestamp, offset)
  }
}

/** The bar of all parts, which are given in ascending order and stay as they are. */
export function mergeBars(parts: readonly BarState[]): BarState {
  const merged = emptyBar()
  for (const { totals, open, close, high, low } of parts) {
    mergeTotals(merged.totals, totals)
    keepEarlier(merged.open, open.price, open.time, open.offset)
    keepLater(merged.close, close.price, close.time, close.offset)
    if (high > merged.high) merged.high = high
    if (low < merged.low) merged.low = low
  }
  return merged
}

/** False while there are odd lots and trades out of sequence alone: such a bar has no open and is not published. */
export function isPriced(state: BarState): boolean {
  return state.open.time !== NEVER
}

/** What stands around a bar's numbers. */
export interface BarPlace {
  symbol: string
  interval: Interval
  startMs: number
  closed: boolean
  /** As the runtime counts: -1 while open. */
  revision: number
}

/** @returns undefined while no trade has set a price */
export function publishBar(
  state: BarState,
  { symbol, interval, startMs, closed, revision }: BarPlace,
): Bar | undefined {
  if (!isPriced(state)) return undefined
  const { count, volume, notional, vwap } = meansOf(state.totals)
  return {
    symbol,
    interval,
    start: startMs,
    open: state.open.price,
    high: state.high,
    low: state.low,
    close: state.close.price,
    volume,
    notional,
    vwap,
    trades: count,
    closed,
    revision: Math.max(0, revision),
  }
}
