import { describe, expect, test } from 'vitest'
import { INTERVALS, type Interval } from '@candlewick/schemas/intervals'
import { calendarDays, tumbling } from '@candlewick/streams'
import { addToBar, emptyBar, mergeBars, type BarState } from './bar.js'
import { tradeAt } from '../testing/trades.js'
import { liveBar, type BarSource } from './live-bar.js'

const graceMs = 0
const sized = (sizeMs: number) => tumbling({ sizeMs, graceMs })

function windowsIn(timeZone: string) {
  return {
    '1m': sized(60_000),
    '5m': sized(300_000),
    '15m': sized(900_000),
    '1h': sized(3_600_000),
    '1d': calendarDays({ timeZone, graceMs }),
  }
}

function minute(startMs: number, price: number): BarState {
  const bar = emptyBar()
  addToBar(bar, tradeAt(0, { timestamp: startMs + 1, price, volume: 1 }), 0)
  return bar
}

/** A source with minutes alone: nothing larger is closed. */
function sourceOf(minutes: ReadonlyMap<number, BarState>, fields: Partial<BarSource> = {}): BarSource {
  return {
    windows: windowsIn('UTC'),
    stored: (interval, startMs) => (interval === '1m' ? minutes.get(startMs) : undefined),
    closedUpToMs: 0,
    newestTimeMs: Math.max(...minutes.keys()),
    ...fields,
  }
}

const HOUR = 3_600_000

describe('the live bar', () => {
  const dayMs = Date.UTC(2026, 5, 9)
  const minutes = new Map(
    [13.5, 13.55, 13.75, 14, 14.9].map((hour, index) => [dayMs + hour * HOUR, minute(dayMs + hour * HOUR, index + 1)]),
  )

  test.each(INTERVALS.filter((interval) => interval !== '1m'))('of %s includes the open minute', (interval) => {
    const windows = windowsIn('UTC')
    const startMs = windows[interval].startOf(dayMs + 14.9 * HOUR)
    const bar = liveBar(sourceOf(minutes), interval, startMs)
    const inside = [...minutes].filter(([at]) => at >= startMs).map(([, value]) => value)
    expect(bar?.totals.count).toBe(inside.length)
    expect(bar?.close.price).toBe(5)
    expect(bar?.open.price).toBe(inside[0]!.open.price)
  })

  test('is merged interval by interval, as it will be when it closes', () => {
    const bits = (bars: BarState[]) => mergeBars(bars)
    const at = (hour: number) => minutes.get(dayMs + hour * HOUR)!
    const expected = bits([
      bits([bits([bits([at(13.5), at(13.55)])]), bits([bits([at(13.75)])])]),
      bits([bits([bits([at(14)])]), bits([bits([at(14.9)])])]),
    ])
    expect(liveBar(sourceOf(minutes), '1d', dayMs)).toEqual(expected)
  })

  test('takes what is stored instead of its parts, and asks for no part of what is closed and empty', () => {
    const asked: [Interval, number][] = []
    const stored = minute(dayMs + 13.5 * HOUR, 50)
    const source = sourceOf(minutes, {
      stored: (interval, startMs) => {
        asked.push([interval, startMs])
        if (interval === '1h') return startMs === dayMs + 13 * HOUR ? stored : undefined
        return interval === '1m' ? minutes.get(startMs) : undefined
      },
      closedUpToMs: dayMs + 14 * HOUR,
    })
    const bar = liveBar(source, '1d', dayMs)
    expect(bar?.open.price).toBe(50)
    expect(bar?.totals.count).toBe(3)
    expect(asked.filter(([, startMs]) => startMs < dayMs + 14 * HOUR).map(([interval]) => interval)).toEqual([
      '1d',
      ...new Array<Interval>(14).fill('1h'),
    ])
  })

  test('does not exist where nothing was traded', () => {
    expect(liveBar(sourceOf(minutes), '1h', dayMs)).toBeUndefined()
    expect(liveBar(sourceOf(minutes), '1m', dayMs)).toBeUndefined()
  })
})

describe('a day where the clocks change', () => {
  test.each([
    ['23 hours, New York', 'America/New_York', Date.UTC(2026, 2, 8, 5), 23],
    ['25 hours, New York', 'America/New_York', Date.UTC(2026, 10, 1, 4), 25],
    ['24 hours, New York', 'America/New_York', Date.UTC(2026, 5, 9, 4), 24],
    ['25 hours, Berlin', 'Europe/Berlin', Date.UTC(2026, 9, 24, 22), 25],
  ])('%s: holds every minute of it and none of its neighbours', (_name, timeZone, startMs, hours) => {
    const windows = windowsIn(timeZone)
    expect(windows['1d'].startOf(startMs + 12 * HOUR)).toBe(startMs)
    const minutes = new Map<number, BarState>()
    for (let at = startMs - HOUR; at < startMs + (hours + 1) * HOUR; at += 60_000) minutes.set(at, minute(at, 1))
    const bar = liveBar(sourceOf(minutes, { windows }), '1d', startMs)
    expect(bar?.totals.count).toBe(hours * 60)
    expect(bar?.open.time).toBe(startMs + 1)
    expect(bar?.close.time).toBe(startMs + hours * HOUR - 60_000 + 1)
  })
})
