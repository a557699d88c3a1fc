import { isSymbol } from '@candlewick/schemas/trade-rules'
import { MAX_WINDOW_MS, WINDOW_STEP_MS } from '@candlewick/schemas/queries'

/**
 * What clients write in paths and query strings, parsed once. Each parser answers with a value or with the reason why
 * the text cannot be used; nothing here throws.
 */
export type Parsed<T> = { kind: 'ok'; value: T } | { kind: 'bad'; reason: string }

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const UNITS: Readonly<Record<string, number>> = { s: SECOND, m: MINUTE, h: HOUR }

export const SHORTEST_LIMIT = 1
export const LONGEST_LIMIT = 10_000

/** Milliseconds of 9999-12-31T23:59:59.999Z: what comes after has no RFC 3339 form. */
const LAST_TIME_MS = 253_402_300_799_999

const ok = <T>(value: T): Parsed<T> => ({ kind: 'ok', value })
const bad = <T>(reason: string): Parsed<T> => ({ kind: 'bad', reason })

/**
 * `all`, or a whole number with its unit s, m or h: a multiple of 5 s, at most 24 h.
 * @returns the window in milliseconds; null = all trades there ever were
 */
export function parseWindow(text: string): Parsed<number | null> {
  if (text === 'all') return ok(null)
  const match = /^(\d{1,9})([smh])$/.exec(text)
  if (match === null) return bad('window must be "all" or a whole number with its unit s, m or h, such as 60s, 5m, 1h')
  const windowMs = Number(match[1]) * UNITS[match[2]!]!
  if (windowMs === 0) return bad('window must be longer than nothing: 5s is the shortest')
  if (windowMs % WINDOW_STEP_MS !== 0) return bad('window must be a multiple of 5s')
  if (windowMs > MAX_WINDOW_MS) return bad('window must be at most 24h')
  return ok(windowMs)
}

/** RFC 3339, section 5.6: the date-time that a Date can hold. */
const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

/**
 * A point in time: epoch milliseconds or an RFC 3339 date-time with its offset.
 * @param name of the parameter, for the reason
 * @returns epoch milliseconds
 */
export function parseTime(name: string, text: string): Parsed<number> {
  if (/^\d+$/.test(text)) {
    const timestampMs = Number(text)
    return timestampMs <= LAST_TIME_MS ? ok(timestampMs) : bad(`${name} is past the year 9999: use epoch milliseconds`)
  }
  const match = RFC_3339.exec(text)
  if (match === null) {
    const plus = / \d{2}:\d{2}$/.test(text) ? ' (in a URL, + is written %2B)' : ''
    return bad(`${name} must be epoch milliseconds or an RFC 3339 time such as 2026-01-31T14:30:00Z${plus}`)
  }
  const [, year, month, day] = match
  const timestampMs = Date.parse(text.toUpperCase().replace(' ', 'T'))
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (Number.isNaN(timestampMs) || Number(day) > daysInMonth) return bad(`${name} is not a time that exists: ${text}`)
  if (timestampMs < 0 || timestampMs > LAST_TIME_MS) return bad(`${name} must lie between 1970 and 9999`)
  return ok(timestampMs)
}

/** What `from`, `to` and `limit` ask for. Both ends are inclusive. */
export interface Range {
  /** absent: the last `limit` up to `toMs`; present: the first `limit` from here */
  fromMs?: number
  toMs: number
  limit: number
}

/**
 * @param nowMs where a range without `to` ends
 */
export function parseRange(query: { from?: string; to?: string; limit: number }, nowMs: number): Parsed<Range> {
  const to = query.to === undefined ? ok(nowMs) : parseTime('to', query.to)
  if (to.kind === 'bad') return to
  if (query.from === undefined) return ok({ toMs: to.value, limit: query.limit })
  const from = parseTime('from', query.from)
  if (from.kind === 'bad') return from
  if (from.value > to.value) return bad(query.to === undefined ? 'from lies in the future' : 'from is later than to')
  return ok({ fromMs: from.value, toMs: to.value, limit: query.limit })
}

/** A symbol as it may be asked for; whether it is known is the processors' to say. */
export function parseSymbol(text: string): Parsed<string> {
  if (text === '') return bad('the symbol is empty')
  if (!isSymbol(text)) return bad('a symbol is 1 to 64 printable characters')
  return ok(text)
}
