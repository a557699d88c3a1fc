import { ruleOf } from '@candlewick/schemas/conditions'
import type { Average, Trade } from '@candlewick/schemas/types'
import { keepEarlier, keepLater, NEVER, noPrice, type PricePoint } from './price-point.js'
import { addToTotals, emptyTotals, meansOf, type Totals } from './totals.js'

/** All trades of a symbol so far: what the next step needs, to the bit. What is published is a projection of it. */
export interface AverageState {
  totals: Totals
  /** Infinity until a trade may set it. */
  min: number
  /** -Infinity until a trade may set it. */
  max: number
  first: PricePoint
  last: PricePoint
  /** Oldest and newest event time of anything folded in; NEVER before the first. */
  oldestTime: number
  newestTime: number
  /** Newest event time of a trade that sets a close: the newest minute that has a bar. */
  newestCloseTime: number
}

export function emptyAverage(): AverageState {
  return {
    totals: emptyTotals(),
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    first: noPrice(),
    last: noPrice(),
    oldestTime: NEVER,
    newestTime: NEVER,
    newestCloseTime: NEVER,
  }
}

/** Folds one trade in, as schemas' conditions.ts allows; mutates and returns the state. */
export function addTrade(state: AverageState, trade: Trade, { offset }: { offset: number }): AverageState {
  const { price, volume, timestamp } = trade
  const rule = ruleOf(trade)
  if (rule.counts) addToTotals(state.totals, price, volume)
  if (rule.setsRange) {
    if (price < state.min) state.min = price
    if (price > state.max) state.max = price
  }
  if (rule.setsClose) {
    keepEarlier(state.first, price, timestamp, offset)
    if (timestamp > state.newestCloseTime) state.newestCloseTime = timestamp
  }
  if (rule.setsLast) keepLater(state.last, price, timestamp, offset)
  if (timestamp > state.newestTime) state.newestTime = timestamp
  if (timestamp < state.oldestTime || state.oldestTime === NEVER) state.oldestTime = timestamp
  return state
}

export function publishAverage(state: AverageState, symbol: string): Average {
  const { first, last } = state
  return {
    symbol,
    ...meansOf(state.totals),
    min: Number.isFinite(state.min) ? state.min : null,
    max: Number.isFinite(state.max) ? state.max : null,
    first: first.time === NEVER ? null : first.price,
    firstTime: first.time === NEVER ? null : first.time,
    last: last.time === NEVER ? null : last.price,
    lastTime: last.time === NEVER ? null : last.time,
    asOf: state.newestTime,
  }
}
