import { MINUTE_MS, SLOT_MS, type MinuteState } from './minute.js'
import { emptyTotals, mergeTotals, type Totals } from './totals.js'

export interface TimedMinute {
  startMs: number
  value: MinuteState
}

/** The stretch a moving average covers: from (inclusive) to (exclusive), both multiples of 5 s. */
export interface Stretch {
  fromMs: number
  toMs: number
}

/**
 * The stretch of a moving average.
 * @param closingClockMs the clock of the symbol's partition: the window ends at it, floored to a slot, so that a slot
 *   that still fills is left out and a quiet symbol's window moves on with its neighbours
 * @param oldestTimeMs when the symbol was first seen: what lies before was not covered
 */
export function stretchOf(windowMs: number, closingClockMs: number, oldestTimeMs: number): Stretch {
  const toMs = floorToSlot(Math.max(0, closingClockMs))
  const fromMs = Math.max(toMs - windowMs, floorToSlot(oldestTimeMs))
  return { fromMs: Math.min(fromMs, toMs), toMs }
}

/**
 * Totals of a stretch: whole minutes as they are, of the first and the last one the slots that lie in it.
 * @param minutes ascending; those outside the stretch are passed over
 */
export function totalsOf(minutes: Iterable<TimedMinute>, { fromMs, toMs }: Stretch): Totals {
  const totals = emptyTotals()
  for (const { startMs, value } of minutes) {
    if (startMs >= fromMs && startMs + MINUTE_MS <= toMs) {
      mergeTotals(totals, value.totals)
      continue
    }
    value.slots.forEach((slot, index) => {
      const slotMs = startMs + index * SLOT_MS
      if (slot !== undefined && slotMs >= fromMs && slotMs + SLOT_MS <= toMs) mergeTotals(totals, slot)
    })
  }
  return totals
}

function floorToSlot(timeMs: number): number {
  return timeMs - (timeMs % SLOT_MS)
}
