/** Numbers and times as the page writes them. English and 24-hour clock throughout; local time zone unless said otherwise. */

const LOCALE = 'en-GB'
const MISSING = '–'
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const clock = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const shortClock = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit' })
const dayMonth = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short' })
const dayMonthYear = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', year: 'numeric' })
const utcDate = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const byDigits = new Map<number, Intl.NumberFormat>()

/** Decimals a price of this size is quoted with: cents from 1 on, four significant places below. */
export function priceDigits(price: number): number {
  const size = Math.abs(price)
  if (size >= 1 || size === 0) return 2
  return Math.min(10, 3 - Math.floor(Math.log10(size)))
}

export function formatPrice(price: number | null | undefined, digits?: number): string {
  if (price == null) return MISSING
  const decimals = digits ?? priceDigits(price)
  let format = byDigits.get(decimals)
  if (format === undefined) {
    format = new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    byDigits.set(decimals, format)
  }
  return format.format(price)
}

/** Amounts too long to read in full: 1,234 stays, 12,345 is 12.3K. */
export function formatAmount(amount: number | null | undefined): string {
  if (amount == null) return MISSING
  return Math.abs(amount) < 10_000 && Number.isInteger(amount) ? whole.format(amount) : compact.format(amount)
}

/** Change from one price to another in percent with its sign, as text and as direction; rounding decides both. */
export function change(from: number | null, to: number | null): { text: string; direction: 'up' | 'down' | 'flat' } {
  if (from === null || to === null || from === 0) return { text: '', direction: 'flat' }
  const percent = ((to - from) / from) * 100
  const digits = Math.abs(percent).toFixed(2)
  if (digits === '0.00') return { text: '0.00%', direction: 'flat' }
  return percent > 0 ? { text: `+${digits}%`, direction: 'up' } : { text: `−${digits}%`, direction: 'down' }
}

/** A span in its largest unit: 'now' (under a second), '5s', '3m', '2h', '4d'. */
export function formatAge(ageMs: number): string {
  if (ageMs < SECOND) return 'now'
  if (ageMs < MINUTE) return `${Math.floor(ageMs / SECOND)}s`
  if (ageMs < HOUR) return `${Math.floor(ageMs / MINUTE)}m`
  if (ageMs < DAY) return `${Math.floor(ageMs / HOUR)}h`
  return `${Math.floor(ageMs / DAY)}d`
}

/** A moment as somebody would say it now: the time today, with its date on another day, with its year in another. */
export function formatMoment(timeMs: number, nowMs: number): string {
  const then = new Date(timeMs)
  const now = new Date(nowMs)
  if (then.toDateString() === now.toDateString()) return clock.format(then)
  const date = then.getFullYear() === now.getFullYear() ? dayMonth : dayMonthYear
  return `${date.format(then)}, ${shortClock.format(then)}`
}

/** The same without seconds, for what starts on a minute. */
export function formatMinute(timeMs: number, nowMs: number): string {
  return formatMoment(timeMs, nowMs).replace(/^(\d\d:\d\d):\d\d$/, '$1')
}

/** The date of a day's bar: its UTC midnight, see axisSeconds. */
export function formatUtcDate(timeMs: number): string {
  return utcDate.format(timeMs)
}

export function formatClock(timeMs: number): string {
  return shortClock.format(timeMs)
}

export function formatDay(timeMs: number): string {
  return dayMonth.format(timeMs)
}

/** 'BINANCE:BTCUSDT' is BTCUSDT at BINANCE; a plain ticker has no venue. */
export function splitSymbol(symbol: string): { name: string; venue: string } {
  const colon = symbol.indexOf(':')
  return colon < 1 ? { name: symbol, venue: '' } : { name: symbol.slice(colon + 1), venue: symbol.slice(0, colon) }
}
