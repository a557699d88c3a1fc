/** The parts of the tables' keys that follow from a time, and back. All of them are UTC. */

export const DAY_MS = 86_400_000
export const AVERAGES_SLOT_MS = 5_000

/** Largest distance from the epoch that a Date, and so a reader of the rows, can hold. */
export const MAX_TIME_MS = 8_640_000_000_000_000

/** Days since 1970-01-01, which is how a `date` counts. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS)
}

/** The day on which the month of a time begins. */
export function monthOf(timeMs: number): number {
  const date = new Date(timeMs)
  return dayOf(monthStart(date.getUTCFullYear(), date.getUTCMonth()))
}

/** The day on which the month `months` later (or earlier, if negative) begins. */
export function addMonths(month: number, months: number): number {
  const date = new Date(month * DAY_MS)
  return dayOf(monthStart(date.getUTCFullYear(), date.getUTCMonth() + months))
}

/** Date.UTC takes the years 0 to 99 for 1900 to 1999; setUTCFullYear does not. */
function monthStart(year: number, monthIndex: number): number {
  return new Date(0).setUTCFullYear(year, monthIndex, 1)
}

/** `ts` of running_averages: the time of the newest trade folded in, floored to 5 s. */
export function averagesSlotOf(asOfMs: number): number {
  return Math.floor(asOfMs / AVERAGES_SLOT_MS) * AVERAGES_SLOT_MS
}

/** `seq` of trades: partition * 2^48 + offset. Orders the trades of one millisecond as the topic does. */
export function seqOf(partition: number, offset: number): bigint {
  return BigInt(partition) * 0x1_0000_0000_0000n + BigInt(offset)
}
