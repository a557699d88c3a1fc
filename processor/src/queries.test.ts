import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { averageCodec, barCodec } from '@candlewick/schemas/codecs'
import { INTERVALS } from '@candlewick/schemas/intervals'
import type { MarketQueryName, SymbolAverage, SymbolSummary } from '@candlewick/schemas/queries'
import { topicNames } from '@candlewick/schemas/topics'
import type { Bar, Trade } from '@candlewick/schemas/types'
import { utf8 } from '@candlewick/streams'
import { TopologyTestDriver } from '@candlewick/streams/testing/topology-test-driver'
import { marketQueries } from './queries.js'
import { OPENING_MS, tradeAt, tradeStreams } from './testing/trades.js'
import { barWindows, marketTopology } from './topology.js'

const topics = topicNames()
const windows = barWindows('UTC')
const queries = marketQueries(windows)
const DAY_START_MS = Date.UTC(2026, 5, 9)

class Market {
  readonly driver = new TopologyTestDriver(marketTopology(topics, windows), { wallClockMs: OPENING_MS })

  async trade(...trades: Trade[]): Promise<void> {
    for (const trade of trades) this.driver.pipe(topics.trades, { key: trade.symbol, value: trade })
    await this.driver.commit()
  }

  async quiet(ms: number): Promise<void> {
    await this.driver.advanceWallClock(ms)
    for (const _ of INTERVALS) await this.driver.advanceWallClock(0)
  }

  async ask<T>(name: MarketQueryName, key: string | undefined, params: Record<string, string> = {}): Promise<T> {
    return (await queries[name].ask(this.driver.view(), { ...(key !== undefined && { key }), params })) as T
  }
}

async function marketOf(...trades: Trade[]): Promise<Market> {
  const market = new Market()
  await market.trade(...trades)
  return market
}

describe('symbol', () => {
  test('has the last price, the running average, the newest minute and the day so far', async () => {
    const market = await marketOf(
      tradeAt(-3600, { price: 90 }),
      tradeAt(0, { price: 100 }),
      tradeAt(20, { price: 110 }),
    )
    const summary = await market.ask<SymbolSummary>('symbol', 'AAPL')
    expect(summary).toMatchObject({
      symbol: 'AAPL',
      last: 110,
      lastTime: OPENING_MS + 20_000,
      average: { count: 3, mean: 100, asOf: OPENING_MS + 20_000 },
      minute: { interval: '1m', start: OPENING_MS, open: 100, close: 110, trades: 2, closed: false, revision: 0 },
      day: { interval: '1d', start: DAY_START_MS, open: 90, close: 110, trades: 3, closed: false, revision: 0 },
    })
  })

  test('still has its minute and its day when both are closed', async () => {
    const market = await marketOf(tradeAt(0))
    await market.quiet(2 * 86_400_000)
    expect(await market.ask('symbol', 'AAPL')).toMatchObject({ minute: { closed: true }, day: { closed: true } })
  })

  test('keeps its newest minute when a late trade enters an older one', async () => {
    const market = await marketOf(tradeAt(60), tradeAt(0))
    expect(await market.ask('symbol', 'AAPL')).toMatchObject({ minute: { start: OPENING_MS + 60_000 } })
  })

  test('that had price updates alone has a last price and no bars', async () => {
    const market = await marketOf(tradeAt(0, { volume: 0 }))
    expect(await market.ask('symbol', 'AAPL')).toMatchObject({ last: 100, minute: null, day: null })
  })

  test('that was never seen is not found', async () => {
    const market = await marketOf(tradeAt(0))
    expect(await market.ask('symbol', 'MSFT')).toBeUndefined()
    expect(await market.ask('average', 'MSFT', { window: '60000' })).toBeUndefined()
    expect(await market.ask('bars', 'MSFT', { interval: '1m' })).toBeUndefined()
  })

  test('symbols has all of a partition', async () => {
    const market = await marketOf(tradeAt(0), tradeAt(0, { symbol: 'BINANCE:BTCUSDT' }))
    const symbols = await market.ask<SymbolSummary[]>('symbols', undefined)
    expect(symbols.map(({ symbol }) => symbol)).toEqual(['AAPL', 'BINANCE:BTCUSDT'])
    expect(symbols[0]).toEqual(await market.ask('symbol', 'AAPL'))
  })

  test('symbols has the first ones behind a symbol, when asked for so many', async () => {
    const market = await marketOf(...['D', 'B', 'A', 'C'].map((symbol) => tradeAt(0, { symbol })))
    const named = async (params: Record<string, string>) =>
      (await market.ask<SymbolSummary[]>('symbols', undefined, params)).map(({ symbol }) => symbol)
    expect(await named({})).toEqual(['A', 'B', 'C', 'D'])
    expect(await named({ limit: '2' })).toEqual(['A', 'B'])
    expect(await named({ limit: '2', after: 'A' })).toEqual(['B', 'C'])
    expect(await named({ after: 'D' })).toEqual([])
    await expect(named({ limit: 'x' })).rejects.toThrow(/limit/)
  })
})

describe('average', () => {
  test('without a window is over all trades', async () => {
    const market = await marketOf(tradeAt(0, { price: 10, volume: 1 }), tradeAt(9, { price: 30, volume: 3 }))
    expect(await market.ask('average', 'AAPL')).toEqual({
      symbol: 'AAPL',
      windowMs: null,
      count: 2,
      volume: 4,
      notional: 100,
      mean: 20,
      vwap: 25,
      priceVolumeMean: 50,
      from: OPENING_MS,
      to: OPENING_MS + 9_000,
      asOf: OPENING_MS + 9_000,
    })
  })

  test('with a window ends at the slot that still fills, by the clock of the partition', async () => {
    const market = await marketOf(
      tradeAt(-600, { price: 1 }),
      tradeAt(-57, { price: 2 }),
      tradeAt(-55, { price: 4 }),
      tradeAt(4.9, { price: 6 }),
      tradeAt(5, { price: 100 }),
      tradeAt(9, { symbol: 'MSFT' }),
    )
    expect(await market.ask<SymbolAverage>('average', 'AAPL', { window: '60000' })).toMatchObject({
      windowMs: 60_000,
      count: 2,
      mean: 5,
      from: OPENING_MS - 55_000,
      to: OPENING_MS + 5_000,
      asOf: OPENING_MS + 5_000,
    })
  })

  test('without trades in its window has count 0 and no means', async () => {
    const market = await marketOf(tradeAt(0), tradeAt(3600, { symbol: 'MSFT' }))
    expect(await market.ask('average', 'AAPL', { window: '5000' })).toMatchObject({ count: 0, mean: null, vwap: null })
  })

  test('over a day is over all of its minutes', async () => {
    const market = await marketOf(tradeAt(-86_400 + 10), tradeAt(-86_400), tradeAt(-43_200), tradeAt(0), tradeAt(8))
    expect(await market.ask('average', 'AAPL', { window: '86400000' })).toMatchObject({
      count: 3,
      from: OPENING_MS + 5_000 - 86_400_000,
    })
  })

  test.each(['0', '7000', '86405000', '-5000', '5e3', 'abc', ''])('refuses the window %j', async (window) => {
    const market = await marketOf(tradeAt(0))
    await expect(market.ask('average', 'AAPL', { window })).rejects.toMatchObject({ status: 400 })
  })
})

describe('bars', () => {
  test('of every interval include the open one, and go on when it is closed', async () => {
    const market = await marketOf(tradeAt(0, { price: 1 }), tradeAt(3601, { price: 2 }), tradeAt(3602, { price: 3 }))
    for (const interval of INTERVALS) {
      const bars = await market.ask<Bar[]>('bars', 'AAPL', { interval })
      expect(bars.at(-1)).toMatchObject({ interval, close: 3, closed: false })
      expect(bars.map(({ trades }) => trades)).toEqual(interval === '1d' ? [3] : [1, 2])
    }
    await market.quiet(3 * 86_400_000)
    for (const interval of INTERVALS) {
      const bars = await market.ask<Bar[]>('bars', 'AAPL', { interval })
      expect(bars.every(({ closed, revision }) => closed && revision === 0)).toBe(true)
      expect(bars.map(({ trades }) => trades)).toEqual(interval === '1d' ? [3] : [1, 2])
    }
  })

  test('with from are the first from there on, without it the last up to to', async () => {
    const market = await marketOf(...[0, 1, 2, 5, 9].map((minute) => tradeAt(minute * 60, { price: minute + 1 })))
    const closes = async (params: Record<string, string>) =>
      (await market.ask<Bar[]>('bars', 'AAPL', { interval: '1m', ...params })).map(({ close }) => close)
    const at = (minute: number) => String(OPENING_MS + minute * 60_000)
    expect(await closes({})).toEqual([1, 2, 3, 6, 10])
    expect(await closes({ limit: '2' })).toEqual([6, 10])
    expect(await closes({ limit: '2', to: at(2) })).toEqual([2, 3])
    expect(await closes({ limit: '2', from: at(1) })).toEqual([2, 3])
    expect(await closes({ from: at(2), to: at(5) })).toEqual([3, 6])
    expect(await closes({ from: at(10) })).toEqual([])
    expect(await closes({ from: at(5), to: at(1) })).toEqual([])
  })

  test('further back than they would reach without gaps are found', async () => {
    const market = await marketOf(tradeAt(0, { price: 1 }), tradeAt(86_400, { price: 2 }))
    const bars = await market.ask<Bar[]>('bars', 'AAPL', { interval: '1m', limit: '2' })
    expect(bars.map(({ close }) => close)).toEqual([1, 2])
  })

  test.each([
    {},
    { interval: '2m' },
    { interval: '1m', limit: '0' },
    { interval: '1m', limit: '5001' },
    { interval: '1m', from: 'yesterday' },
    { interval: '1m', to: '1.5' },
  ])('refuses %j', async (params) => {
    const market = await marketOf(tradeAt(0))
    await expect(market.ask('bars', 'AAPL', params as Record<string, string>)).rejects.toMatchObject({ status: 400 })
  })
})

test('what was asked before a bar closed is what is announced when it closes, to the bit', async () => {
  await fc.assert(
    fc.asyncProperty(tradeStreams({ spanMs: 3_600_000 }), async (trades) => {
      const market = await marketOf(...trades)
      const live = new Map<string, Bar>()
      for (const interval of INTERVALS) {
        for (const bar of (await market.ask<Bar[] | undefined>('bars', 'AAPL', { interval })) ?? []) {
          live.set(`${interval} ${bar.start}`, { ...bar, closed: true, revision: 0 })
        }
      }
      await market.quiet(3 * 86_400_000)
      const topic = market.driver.readOutput(topics.bars, { key: utf8, value: barCodec }).map(({ value }) => value)
      const closed = new Map(topic.filter((bar) => bar.closed).map((bar) => [`${bar.interval} ${bar.start}`, bar]))
      expect(live).toEqual(closed)
      const average = market.driver.readOutput(topics.averages, { key: utf8, value: averageCodec }).at(-1)?.value
      expect((await market.ask<SymbolSummary | undefined>('symbol', 'AAPL'))?.average).toEqual(average)
    }),
    { numRuns: 50 },
  )
})
