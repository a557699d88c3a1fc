import { describe, expect, it } from 'vitest'
import {
  axisMoment,
  axisSeconds,
  followMinute,
  followPrice,
  MAX_BARS,
  mergeBars,
  newerBar,
  runningVwap,
} from './chart-data.js'
import type { Bar } from './protocol.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const T0 = Date.UTC(2026, 0, 5, 12)

function bar(start: number, fields: Partial<Bar> = {}): Bar {
  return {
    symbol: 'AAPL',
    interval: '1m',
    start,
    open: 10,
    high: 12,
    low: 9,
    close: 11,
    volume: 100,
    notional: 1100,
    vwap: 11,
    trades: 5,
    closed: true,
    revision: 0,
    ...fields,
  }
}

describe('of two states of one bar', () => {
  const open = bar(T0, { closed: false })

  it('the closed one is newer, whichever came last', () => {
    expect(newerBar(open, bar(T0)).closed).toBe(true)
    expect(newerBar(bar(T0), open).closed).toBe(true)
  })

  it('the correction is newer than what it corrects', () => {
    const correction = bar(T0, { revision: 1, high: 13 })
    expect(newerBar(bar(T0), correction)).toBe(correction)
    expect(newerBar(correction, bar(T0))).toBe(correction)
  })

  it('the one that has seen more trades is newer while it is open', () => {
    const more = bar(T0, { closed: false, trades: 6 })
    expect(newerBar(open, more)).toBe(more)
    expect(newerBar(more, open)).toBe(more)
  })
})

describe('merging bars', () => {
  const known = [bar(T0), bar(T0 + MINUTE), bar(T0 + 2 * MINUTE, { closed: false })]

  it('a live bar asks for nothing but itself to be drawn again', () => {
    const { bars, from } = mergeBars(known, [bar(T0 + 2 * MINUTE, { closed: false, trades: 9 })])
    expect(from).toBe(2)
    expect(bars.map(({ trades }) => trades)).toEqual([5, 5, 9])
  })

  it('a new bar is drawn after the others', () => {
    const { bars, from } = mergeBars(known, [bar(T0 + 4 * MINUTE)])
    expect(from).toBe(3)
    expect(bars).toHaveLength(4)
  })

  it('a correction of an old bar is drawn from there on', () => {
    expect(mergeBars(known, [bar(T0 + MINUTE, { revision: 1 })]).from).toBe(1)
  })

  it('older bars come first and everything is drawn', () => {
    const { bars, from } = mergeBars(known, [bar(T0 - 2 * MINUTE), bar(T0 - MINUTE)])
    expect(from).toBe(0)
    expect(bars.map(({ start }) => start)).toEqual([-2, -1, 0, 1, 2].map((minute) => T0 + minute * MINUTE))
  })

  it('what is older than what is known changes nothing', () => {
    expect(mergeBars(known, [bar(T0, { closed: false, trades: 1 })])).toEqual({ bars: known, from: null })
  })

  it('leaves what it was given as it was', () => {
    const before = structuredClone(known)
    mergeBars(known, [bar(T0 - MINUTE), bar(T0, { revision: 3 })])
    expect(known).toEqual(before)
  })

  it('holds a bounded number and lets go of the oldest', () => {
    const many = Array.from({ length: MAX_BARS }, (_, at) => bar(T0 + at * MINUTE))
    const { bars } = mergeBars(many, [bar(T0 + MAX_BARS * MINUTE)])
    expect(bars).toHaveLength(MAX_BARS)
    expect(bars[0]?.start).toBe(T0 + MINUTE)
  })
})

describe('a longer bar between two answers', () => {
  const five = bar(T0, { interval: '5m', closed: false, high: 12, low: 9, close: 11, volume: 700 })

  it('follows the newest minute in its prices and waits with its volume', () => {
    const minute = bar(T0 + 3 * MINUTE, { closed: false, high: 15, low: 10, close: 14 })
    expect(followMinute([five], minute, '5m')).toMatchObject({ open: 10, high: 15, low: 9, close: 14, volume: 700 })
  })

  it('opens with the first minute after the newest bar', () => {
    const minute = bar(T0 + 6 * MINUTE, { closed: false, open: 3 })
    expect(followMinute([five], minute, '5m')).toMatchObject({ interval: '5m', start: T0 + 5 * MINUTE, open: 3 })
  })

  it('is not moved by a minute before it, nor once it is closed, nor made of a minute alone', () => {
    expect(followMinute([five], bar(T0 - MINUTE), '5m')).toBeUndefined()
    expect(followMinute([{ ...five, closed: true }], bar(T0 + MINUTE), '5m')).toBeUndefined()
    expect(followMinute([], bar(T0), '5m')).toBeUndefined()
  })

  it('never opens a day: where days begin only the server knows', () => {
    const day = bar(T0, { interval: '1d', closed: false })
    expect(followMinute([day], bar(T0 + 22 * HOUR, { close: 7 }), '1d')).toMatchObject({ start: T0, close: 7 })
    expect(followMinute([day], bar(T0 + 23 * HOUR), '1d')).toBeUndefined()
    expect(followMinute([day], bar(T0 + 25 * HOUR), '1d')).toBeUndefined()
  })
})

describe('the open bar follows the last price', () => {
  const open = bar(T0, { closed: false })
  it('with its close, and with its high and low when the price is beyond them', () => {
    expect(followPrice([open], { price: 11.5, timeMs: T0 + 1 })).toEqual({ ...open, close: 11.5 })
    expect(followPrice([open], { price: 13, timeMs: T0 + 1 })).toEqual({ ...open, high: 13, close: 13 })
    expect(followPrice([open], { price: 8, timeMs: T0 + MINUTE - 1 })).toEqual({ ...open, low: 8, close: 8 })
  })

  it('unless it is closed, says the same already, or the trade is of another time', () => {
    expect(followPrice([], { price: 13, timeMs: T0 })).toBeUndefined()
    expect(followPrice([bar(T0)], { price: 13, timeMs: T0 })).toBeUndefined()
    expect(followPrice([open], { price: open.close, timeMs: T0 })).toBeUndefined()
    expect(followPrice([open], { price: 13, timeMs: T0 - 1 })).toBeUndefined()
    expect(followPrice([open], { price: 13, timeMs: T0 + MINUTE })).toBeUndefined()
    const day = bar(T0, { interval: '1d', closed: false })
    expect(followPrice([day], { price: 13, timeMs: T0 + 23 * HOUR })).toBeUndefined()
  })
})

describe('the axis', () => {
  it('moves bars by the offset of the viewer and back', () => {
    const seconds = axisSeconds(T0, '5m', 2 * HOUR)
    expect(seconds).toBe((T0 + 2 * HOUR) / 1000)
    expect(axisMoment(seconds, '5m', 2 * HOUR)).toBe(T0)
  })

  it.each([
    ['UTC', '2026-03-09T00:00:00Z'],
    ['New York', '2026-03-09T04:00:00Z'],
    ['Tokyo', '2026-03-08T15:00:00Z'],
    ['Auckland', '2026-03-08T11:00:00Z'],
    ['Honolulu', '2026-03-09T10:00:00Z'],
  ])('puts a day that starts at midnight of %s on its date', (_zone, start) => {
    expect(axisSeconds(Date.parse(start), '1d', 5 * HOUR) * 1000).toBe(Date.UTC(2026, 2, 9))
  })
})

describe('the VWAP of the day', () => {
  it('is all money by all volume since its start, after each bar', () => {
    const bars = [
      bar(T0 - MINUTE, { notional: 9e9 }),
      bar(T0, { volume: 10, notional: 100 }),
      bar(T0 + MINUTE, { volume: 30, notional: 420 }),
    ]
    expect(runningVwap(bars, T0, false)).toEqual([
      { start: T0, value: 10 },
      { start: T0 + MINUTE, value: 13 },
    ])
  })

  it('is not drawn from bars that start in the middle of the day', () => {
    const bars = [bar(T0 + MINUTE)]
    expect(runningVwap(bars, T0, false)).toEqual([])
    expect(runningVwap(bars, T0, true)).toHaveLength(1)
  })
})
