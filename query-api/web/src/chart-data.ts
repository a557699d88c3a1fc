import type { Bar, Interval } from './protocol.js'

/** Bars on their way into the chart: merged, ordered, and the lines drawn from them. Pure. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
export const INTERVAL_MS: Readonly<Record<Interval, number>> = {
  '1m': MINUTE,
  '5m': 5 * MINUTE,
  '15m': 15 * MINUTE,
  '1h': HOUR,
  '1d': 24 * HOUR,
}

/** Bars held for one chart; beyond it the oldest go, and come back when somebody scrolls there. */
export const MAX_BARS = 5000

/** Which of two states of the same bar is the newer one: a closed one, a later revision, or one that has seen more. */
export function newerBar(known: Bar, incoming: Bar): Bar {
  if (known.closed !== incoming.closed) return known.closed ? known : incoming
  if (known.closed) return incoming.revision >= known.revision ? incoming : known
  return incoming.trades >= known.trades ? incoming : known
}

export interface Merged {
  readonly bars: readonly Bar[]
  /** What has to be drawn again: nothing, the bars from this index on, or all (0: bars came in before others). */
  readonly from: number | null
}

/** Ascending bars of one interval with others merged in, in any order; of two states of a bar the newer stands. */
export function mergeBars(known: readonly Bar[], incoming: readonly Bar[]): Merged {
  const bars = known.slice()
  let from = Infinity
  for (const bar of incoming) {
    const at = placeOf(bars, bar.start)
    const there = bars[at]
    if (there?.start === bar.start) {
      const newer = newerBar(there, bar)
      if (newer === there) continue
      bars[at] = newer
    } else {
      bars.splice(at, 0, bar)
      if (at < bars.length - 1) from = 0 // everything after it moved
    }
    from = Math.min(from, at)
  }
  if (bars.length > MAX_BARS) return { bars: bars.slice(-MAX_BARS), from: 0 }
  return { bars, from: from === Infinity ? null : from }
}

function placeOf(bars: readonly Bar[], start: number): number {
  let at = bars.length
  while (at > 0 && bars[at - 1]!.start >= start) at--
  return at
}

/**
 * The bar of a longer interval as the newest minute of the feed moves it between two answers of the API: highest, lowest
 * and last price follow at once and exactly; volume and counts wait for the next answer, which replaces the bar.
 * Undefined when the minute says nothing about the newest bar. Days open with an answer only: their time zone is the server's.
 */
export function followMinute(bars: readonly Bar[], minute: Bar, interval: Interval): Bar | undefined {
  const newest = bars.at(-1)
  if (newest === undefined || minute.start < newest.start) return undefined
  const lengthMs = INTERVAL_MS[interval]
  // A day of 23 h may be over before 24 h have passed; its last hour waits for the API.
  const insideMs = interval === '1d' ? 23 * HOUR : lengthMs
  if (minute.start - newest.start < insideMs) {
    if (newest.closed) return undefined
    const { close } = minute
    return { ...newest, high: Math.max(newest.high, minute.high), low: Math.min(newest.low, minute.low), close }
  }
  if (interval === '1d') return undefined
  return { ...minute, interval, start: Math.floor(minute.start / lengthMs) * lengthMs, closed: false, revision: 0 }
}

/**
 * The newest bar as the last price moves it before the bar itself comes: prices are heard at once, bars after they are
 * committed. Undefined when it is not open, the trade is not in it, or it says the same already.
 */
export function followPrice(
  bars: readonly Bar[],
  { price, timeMs }: { price: number; timeMs: number },
): Bar | undefined {
  const newest = bars.at(-1)
  if (newest === undefined || newest.closed) return undefined
  const insideMs = newest.interval === '1d' ? 23 * HOUR : INTERVAL_MS[newest.interval]
  if (timeMs < newest.start || timeMs - newest.start >= insideMs || price === newest.close) return undefined
  return { ...newest, high: Math.max(newest.high, price), low: Math.min(newest.low, price), close: price }
}

/**
 * Where a bar stands on the chart's axis, in the seconds the chart wants. The chart cuts its axis at UTC midnights, so bars
 * are moved by the viewer's offset (one constant, so that order holds across clock changes) and moved back for labels.
 * Days stand on the UTC midnight of their date: 13 hours after midnight it is that date in UTC too, from UTC-10 to UTC+13.
 */
export function axisSeconds(startMs: number, interval: Interval, offsetMs: number): number {
  if (interval !== '1d') return (startMs + offsetMs) / 1000
  const lengthMs = INTERVAL_MS['1d']
  return (Math.floor((startMs + 13 * HOUR) / lengthMs) * lengthMs) / 1000
}

/** The moment an axis position stands for; days give UTC midnight of their date. */
export function axisMoment(seconds: number, interval: Interval, offsetMs: number): number {
  return interval === '1d' ? seconds * 1000 : seconds * 1000 - offsetMs
}

/**
 * Volume-weighted average price since `fromMs` after each bar: sum(notional) / sum(volume). Empty unless the bars reach back
 * to there, because a sum that starts in the middle would be another number.
 */
export function runningVwap(
  bars: readonly Bar[],
  fromMs: number,
  reachesBack: boolean,
): { start: number; value: number }[] {
  const first = bars[0]
  if (first === undefined || (first.start > fromMs && !reachesBack)) return []
  const line: { start: number; value: number }[] = []
  let notional = 0
  let volume = 0
  for (const bar of bars) {
    if (bar.start < fromMs) continue
    notional += bar.notional
    volume += bar.volume
    if (volume > 0) line.push({ start: bar.start, value: notional / volume })
  }
  return line
}
