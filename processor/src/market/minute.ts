import type { Trade } from '@candlewick/schemas/types'
import { addToBar, emptyBar, entersBars, type BarState } from './bar.js'
import { addToTotals, emptyTotals, type Totals } from './totals.js'

export const MINUTE_MS = 60_000
/** Moving averages end and begin at these. */
export const SLOT_MS = 5_000
export const SLOTS_PER_MINUTE = MINUTE_MS / SLOT_MS

/** A one-minute bar and the totals of its twelve 5-second slots, undefined where nothing was traded. */
export interface MinuteState extends BarState {
  slots: (Totals | undefined)[]
}

export function emptyMinute(): MinuteState {
  return { ...emptyBar(), slots: new Array<Totals | undefined>(SLOTS_PER_MINUTE).fill(undefined) }
}

/** Folds one trade of this minute in; mutates and returns the state. */
export function addTradeToMinute(state: MinuteState, trade: Trade, { offset }: { offset: number }): MinuteState {
  addToBar(state, trade, offset)
  if (!entersBars(trade)) return state
  const slot = Math.floor((trade.timestamp % MINUTE_MS) / SLOT_MS)
  const totals = (state.slots[slot] ??= emptyTotals())
  addToTotals(totals, trade.price, trade.volume)
  return state
}
