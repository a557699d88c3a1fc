import type { Interval } from '@candlewick/schemas/intervals'
import { mergeBars, type BarState } from './bar.js'

/** How the intervals cut time; the windows of streams fit. */
export interface Windows {
  startOf(timestampMs: number): number
  endOf(startMs: number): number
}

/** Each interval is merged from the one named here; minutes are folded from trades. */
export const PARTS: Readonly<Record<Interval, Interval | undefined>> = {
  '1m': undefined,
  '5m': '1m',
  '15m': '5m',
  '1h': '15m',
  '1d': '1h',
}

export interface BarSource {
  windows: Readonly<Record<Interval, Windows>>
  /** What the store of the interval has; larger bars are stored when they are announced closed. */
  stored(interval: Interval, startMs: number): BarState | undefined
  /** Windows whose end is at or before this moment were stored if they held anything. */
  closedUpToMs: number
  /** Newest event time: nothing begins after it. */
  newestTimeMs: number
}

/**
 * The bar that begins at `startMs`, as far as it goes: stored, or else merged from its parts the same way it will be
 * when it closes, the open minute included. Follows the one open window of each length down to the minutes.
 */
export function liveBar(source: BarSource, interval: Interval, startMs: number): BarState | undefined {
  const stored = source.stored(interval, startMs)
  if (stored !== undefined) return stored
  const smaller = PARTS[interval]
  const endMs = source.windows[interval].endOf(startMs)
  if (smaller === undefined || endMs <= source.closedUpToMs) return undefined
  const parts: BarState[] = []
  for (let at = startMs; at < endMs && at <= source.newestTimeMs; at = source.windows[smaller].endOf(at)) {
    const part = liveBar(source, smaller, at)
    if (part !== undefined) parts.push(part)
  }
  return parts.length === 0 ? undefined : mergeBars(parts)
}
