import { addMonths, dayOf, MAX_TIME_MS, monthOf } from './buckets.js'

/**
 * Which rows are asked for, both ends inclusive. With `fromMs` the first `limit` rows from there on (so a client pages
 * forward), without it the last `limit` rows up to `toMs`. Answers are ascending in both cases.
 */
export interface TimeRange {
  fromMs?: number
  toMs: number
  limit: number
}

/** Partitions are by day: more of them than this are not searched for one question. */
export const MAX_DAYS = 366
/** Partitions are by month: the newest 60 years of a range are searched. */
export const MAX_MONTHS = 720

/** The question spans more day partitions than are searched for one answer. Ask for less at a time. */
export class RangeTooWide extends Error {
  readonly code = 'RANGE_TOO_WIDE'
  readonly kind = 'range-too-wide'
  constructor(days: number) {
    super(`the range spans ${days} days; at most ${MAX_DAYS} at a time`)
    this.name = 'RangeTooWide'
  }
}

/** The partitions to search in the order in which they can be answered, as days since the epoch. */
export interface Buckets {
  /** Lower end of the range, never absent. */
  fromMs: number
  toMs: number
  newestFirst: boolean
  days: readonly number[]
}

/**
 * The days a question touches; without fromMs it looks back over at most 366 of them.
 * @throws RangeTooWide
 */
export function dayBuckets(range: TimeRange): Buckets {
  const { fromMs, toMs } = clamp(range, (to) => (dayOf(to) - MAX_DAYS + 1) * 86_400_000)
  const first = dayOf(fromMs)
  const count = Math.max(0, dayOf(toMs) - first + 1)
  if (count > MAX_DAYS) throw new RangeTooWide(count)
  return inOrder(
    range,
    fromMs,
    toMs,
    Array.from({ length: count }, (_, index) => first + index),
  )
}

/** The months a question touches, each as its first day; at most the newest 720 of them. */
export function monthBuckets(range: TimeRange): Buckets {
  const { fromMs, toMs } = clamp(range, () => -MAX_TIME_MS)
  const earliest = addMonths(monthOf(toMs), 1 - MAX_MONTHS)
  const months: number[] = []
  const first = dayOf(fromMs) <= earliest ? earliest : monthOf(fromMs)
  for (let month = first; month <= dayOf(toMs); month = addMonths(month, 1)) {
    months.push(month)
  }
  return inOrder(range, fromMs, toMs, months)
}

function clamp(range: TimeRange, lookBack: (toMs: number) => number): { fromMs: number; toMs: number } {
  const toMs = Math.min(range.toMs, MAX_TIME_MS)
  return { fromMs: Math.max(range.fromMs ?? lookBack(toMs), -MAX_TIME_MS), toMs }
}

function inOrder(range: TimeRange, fromMs: number, toMs: number, days: number[]): Buckets {
  const newestFirst = range.fromMs === undefined
  return { fromMs, toMs, newestFirst, days: newestFirst ? days.reverse() : days }
}
