import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { averageCodec, barCodec, tradeCodec } from '@candlewick/schemas/codecs'
import { INTERVALS, type Interval } from '@candlewick/schemas/intervals'
import { topicNames } from '@candlewick/schemas/topics'
import type { Average, Bar, Trade } from '@candlewick/schemas/types'
import { utf8 } from '@candlewick/streams'
import { TopologyTestDriver } from '@candlewick/streams/testing/topology-test-driver'
import { minutes } from './stores.js'
import { referenceOf } from './testing/reference.js'
import { OPENING_MS, tradeAt, tradeStreams } from './testing/trades.js'
import { barWindows, marketTopology } from './topology.js'

const topics = topicNames()
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

class Market {
  readonly windows
  readonly driver

  constructor(timeZone = 'UTC') {
    this.windows = barWindows(timeZone)
    this.driver = new TopologyTestDriver(marketTopology(topics, this.windows), { wallClockMs: OPENING_MS })
  }

  pipe(...trades: Trade[]): void {
    for (const trade of trades) this.driver.pipe(topics.trades, { key: trade.symbol, value: trade })
  }

  /** Quiet time passes; each commit closes one length of bars, as the next longer one learns of it by that. */
  async quiet(ms: number): Promise<void> {
    await this.driver.advanceWallClock(ms)
    for (let length = 1; length < INTERVALS.length; length++) await this.driver.advanceWallClock(0)
  }

  averages(): Average[] {
    return this.driver.readOutput(topics.averages, { key: utf8, value: averageCodec }).map(({ value }) => value)
  }

  bars(interval?: Interval): Bar[] {
    const bars = this.driver.readOutput(topics.bars, { key: utf8, value: barCodec }).map(({ value }) => value)
    return bars.filter((bar) => interval === undefined || bar.interval === interval)
  }
}

describe('the topic averages', () => {
  test('gets one record per commit and symbol that traded', async () => {
    const market = new Market()
    market.pipe(tradeAt(0), tradeAt(1), tradeAt(2, { symbol: 'MSFT' }), tradeAt(3))
    await market.driver.commit()
    expect(market.averages().map(({ symbol, count }) => [symbol, count])).toEqual([
      ['AAPL', 3],
      ['MSFT', 1],
    ])
    await market.driver.commit()
    expect(market.averages()).toEqual([])
  })

  test('is moved by a price update, which opens no bar', async () => {
    const market = new Market()
    market.pipe(tradeAt(0, { volume: 0, price: 42 }), tradeAt(1, { price: 43, conditions: ['16'] }))
    await market.quiet(2 * DAY_MS)
    expect(market.averages()).toMatchObject([{ count: 0, last: 43 }])
    expect(market.bars()).toEqual([])
    expect(await market.driver.view().window(minutes).fetch('AAPL', 0, Infinity)).toEqual([])
  })
})

describe('a trade on the topic that breaks the rules of trades', () => {
  test.each<[string, Partial<Trade>]>([
    ['no price', { price: Number.NaN }],
    ['a negative price', { price: -5 }],
    ['a price no market has', { price: 1.7e308 }],
    ['a negative volume', { volume: -1 }],
    ['no symbol', { symbol: '' }],
    ['a symbol as long as a book', { symbol: 'L'.repeat(70_000) }],
    ['a time in the year 9000', { timestamp: 221_845_392_000_000 }],
  ])('is put aside and spoils nothing: %s', async (_, wrong) => {
    const market = new Market()
    const bad = tradeAt(1, wrong)
    market.driver.pipe(topics.trades, { key: bad.symbol, value: bad, timestampMs: OPENING_MS })
    market.pipe(tradeAt(2, { price: 7 }))
    await market.driver.commit()
    expect(market.averages()).toMatchObject([{ symbol: 'AAPL', count: 1, min: 7, max: 7 }])
    expect(market.driver.lateRecords).toBe(0)
    expect(market.driver.readRaw(topics.deadLetters)).toHaveLength(1)
  })

  test('is put aside when its key is another symbol', async () => {
    const market = new Market()
    market.driver.pipe(topics.trades, { key: 'MSFT', value: tradeAt(0) })
    await market.driver.commit()
    expect(market.averages()).toEqual([])
    expect(market.driver.readRaw(topics.deadLetters)).toHaveLength(1)
  })
})

test('a trade a few minutes ahead of the broker closes no bar before its time', async () => {
  const market = new Market()
  market.pipe(tradeAt(0))
  const ahead = tradeAt(4 * 60)
  market.driver.pipe(topics.trades, { key: ahead.symbol, value: ahead, timestampMs: tradeAt(1).timestamp })
  await market.driver.commit()
  expect(market.bars().filter(({ closed }) => closed)).toEqual([])
  expect(market.driver.view().closingClockMs).toBe(tradeAt(1).timestamp)
  await market.quiet(6 * 60_000)
  expect(market.bars('1m').filter(({ closed }) => closed)).toHaveLength(2)
})

describe('the topic bars', () => {
  test('gets the open minute at most every 250 ms, the last state always', async () => {
    const market = new Market()
    market.pipe(tradeAt(0, { price: 1 }))
    await market.driver.commit()
    market.pipe(tradeAt(0.1, { price: 2 }))
    await market.driver.advanceWallClock(100)
    market.pipe(tradeAt(0.2, { price: 3 }))
    await market.driver.advanceWallClock(100)
    expect(market.bars().map(({ close }) => close)).toEqual([1])
    await market.driver.advanceWallClock(50)
    expect(market.bars()).toMatchObject([{ interval: '1m', start: OPENING_MS, close: 3, closed: false, revision: 0 }])
    await market.driver.advanceWallClock(1000)
    expect(market.bars()).toEqual([])
  })

  test('gets a minute closed 10 s after its end by the clock of the trades', async () => {
    const market = new Market()
    market.pipe(tradeAt(0), tradeAt(69.999, { symbol: 'MSFT' }))
    await market.driver.commit()
    expect(market.bars().filter(({ closed }) => closed)).toEqual([])
    market.pipe(tradeAt(70, { symbol: 'MSFT' }))
    await market.driver.commit()
    expect(market.bars().filter(({ closed }) => closed)).toMatchObject([{ symbol: 'AAPL', trades: 1, revision: 0 }])
  })

  test('gets every interval of a quiet symbol, once', async () => {
    const market = new Market()
    market.pipe(tradeAt(0), tradeAt(61))
    await market.driver.commit()
    await market.quiet(2 * DAY_MS)
    const closed = market.bars().filter((bar) => bar.closed)
    expect(closed.map(({ interval, trades }) => [interval, trades])).toEqual([
      ['1m', 1],
      ['1m', 1],
      ['5m', 2],
      ['15m', 2],
      ['1h', 2],
      ['1d', 2],
    ])
  })

  test('gets one correction of every closed bar that a late trade enters, with the next revision', async () => {
    const market = new Market()
    market.pipe(tradeAt(0, { price: 10 }))
    await market.quiet(2 * DAY_MS)
    market.bars()
    market.pipe(tradeAt(30, { price: 20 }), tradeAt(31, { price: 30 }))
    await market.driver.commit()
    expect(
      market.bars().map(({ interval, closed, revision, close, trades }) => [interval, closed, revision, close, trades]),
    ).toEqual(INTERVALS.map((interval) => [interval, true, 1, 30, 3]))
    expect(market.driver.lateRecords).toBe(0)
  })

  test('does not get a bar of odd lots alone; with a price comes all of it', async () => {
    const market = new Market()
    market.pipe(tradeAt(0, { conditions: ['12'], volume: 7 }))
    await market.quiet(2 * DAY_MS)
    expect(market.bars()).toEqual([])
    market.pipe(tradeAt(1, { price: 50, volume: 3 }))
    await market.driver.commit()
    expect(market.bars('1m')).toMatchObject([{ volume: 10, trades: 2, open: 50, high: 50, low: 50, revision: 1 }])
  })

  test('a trade later than a day is counted as late, and is in the averages all the same', async () => {
    const market = new Market()
    market.pipe(tradeAt(0), tradeAt(86_400 + 3_600), tradeAt(0.5))
    await market.driver.commit()
    expect(market.driver.lateRecords).toBe(1)
    expect(market.averages()).toMatchObject([{ count: 3 }])
  })
})

test('bytes that are no trade go to the dead letters as they came, and the rest goes on', async () => {
  const market = new Market()
  const bytes = tradeCodec.encode(tradeAt(0)).subarray(0, 20)
  market.driver.pipe(topics.trades, { key: 'AAPL', value: Buffer.from(bytes) })
  market.pipe(tradeAt(1))
  await market.driver.commit()
  expect(market.driver.readRaw(topics.deadLetters).map(({ value }) => value)).toEqual([bytes])
  expect(market.averages()).toMatchObject([{ count: 1 }])
})

test.each([
  ['23', Date.UTC(2026, 2, 8, 5), 23],
  ['25', Date.UTC(2026, 10, 1, 4), 25],
])('a day of %s hours has one bar with all its trades', async (_name, startMs, hours) => {
  const market = new Market('America/New_York')
  for (let hour = -1; hour <= hours; hour++) {
    market.pipe(tradeAt(0, { timestamp: startMs + hour * HOUR_MS, price: hour + 10 }))
    await market.driver.commit()
  }
  const days = market.bars('1d')
  expect(days).toEqual([expect.objectContaining({ start: startMs - 24 * HOUR_MS, trades: 1 })])
  await market.quiet(3 * DAY_MS)
  const [day] = market.bars('1d')
  expect(day).toMatchObject({ start: startMs, trades: hours, open: 10, close: hours + 9 })
})

test('whatever the order, the commits and the crashes, topics end where an independent computation does', async () => {
  const steps = fc.record({
    trades: fc.constantFrom('AAPL', 'BINANCE:BTCUSDT').chain((symbol) => tradeStreams({ spanMs: 5 * HOUR_MS, symbol })),
    commitEvery: fc.integer({ min: 1, max: 40 }),
    restartEvery: fc.integer({ min: 1, max: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(steps, async ({ trades, commitEvery, restartEvery }) => {
      const whole = await play(trades, trades.length + 1, Infinity)
      const broken = await play(trades, commitEvery, restartEvery)
      // To the bit: commits and restarts change nothing.
      expect(broken).toEqual(whole)
      const { averages, bars } = whole
      const all = referenceOf(trades)
      expect(averages.at(-1)?.count ?? 0).toBe(all.count)
      expect(averages.at(-1)?.last ?? null).toBe(all.last)
      for (const interval of INTERVALS) expectBars(interval, trades, bars)
    }),
    { numRuns: 60 },
  )
})

/** The last word of both topics on every key. */
async function play(trades: readonly Trade[], commitEvery: number, restartEvery: number) {
  const market = new Market()
  let commits = 0
  for (const [index, trade] of trades.entries()) {
    market.pipe(trade)
    if ((index + 1) % commitEvery !== 0) continue
    await market.driver.commit()
    if (++commits % restartEvery === 0) await market.driver.restart()
  }
  await market.quiet(3 * DAY_MS)
  const averages = new Map(market.averages().map((average) => [average.symbol, average]))
  const bars = new Map(market.bars().map(({ revision: _, ...bar }) => [`${bar.interval} ${bar.start}`, bar] as const))
  return {
    averages: [...averages.values()],
    bars: [...bars.values()].sort((a, b) => a.start - b.start || (a.interval < b.interval ? -1 : 1)),
  }
}

function expectBars(interval: Interval, trades: readonly Trade[], bars: readonly Omit<Bar, 'revision'>[]): void {
  const windows = barWindows('UTC')[interval]
  const expected = byWindow(trades, windows.startOf)
  const found = bars.filter((bar) => bar.interval === interval)
  const references = [...expected]
    .map(([start, inside]) => ({ start, ...referenceOf(inside) }))
    .filter(({ open }) => open !== null)
    .sort((a, b) => a.start - b.start)
  expect(
    found.map(({ start, open, high, low, close, trades: count, closed }) => ({
      start,
      open,
      high,
      low,
      close,
      count,
      closed,
    })),
  ).toEqual(
    references.map(({ start, open, high, low, close, count }) => ({
      start,
      open,
      high,
      low,
      close,
      count,
      closed: true,
    })),
  )
  for (const [index, { volume, notional }] of found.entries()) {
    const reference = references[index]!
    expect(Math.abs(volume - reference.volume)).toBeLessThanOrEqual(2 * Number.EPSILON * reference.volume)
    expect(Math.abs(notional - reference.notional)).toBeLessThanOrEqual(2 * Number.EPSILON * reference.notional)
  }
}

function byWindow(trades: readonly Trade[], startOf: (timestampMs: number) => number): Map<number, Trade[]> {
  const windows = new Map<number, Trade[]>()
  for (const trade of trades) {
    const startMs = startOf(trade.timestamp)
    windows.set(startMs, [...(windows.get(startMs) ?? []), trade])
  }
  return windows
}
