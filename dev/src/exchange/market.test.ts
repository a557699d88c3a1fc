import { describe, expect, it } from 'vitest'
import { createListings } from './listings.js'
import { activity, Market } from './market.js'
import { createRandom } from './random.js'
import type { WireTrade } from './ticker.js'

const START_MS = 1_760_000_000_000
const SYMBOLS = ['AAPL', 'MSFT', 'F', 'AMC', 'BINANCE:BTCUSDT', 'OANDA:EUR_USD', 'IC MARKETS:1']

function draw(
  count: number,
  options: { seed?: string; symbols?: readonly string[]; stepMs?: number } = {},
): WireTrade[] {
  const market = new Market({ seed: options.seed ?? '1', symbols: 300 })
  market.trade(options.symbols ?? SYMBOLS)
  return Array.from({ length: count }, (_, i) => market.next(START_MS + i * (options.stepMs ?? 5))!)
}

const withoutTime = (trades: readonly WireTrade[]) => trades.map(({ s, p, v, c }) => ({ s, p, v, c }))

function bySymbol(trades: readonly WireTrade[]): Map<string, WireTrade[]> {
  const groups = new Map<string, WireTrade[]>()
  for (const trade of trades) {
    const group = groups.get(trade.s)
    if (group) group.push(trade)
    else groups.set(trade.s, [trade])
  }
  return groups
}

describe('the simulated market', () => {
  it('gives the same symbols, prices, volumes and conditions for the same seed, however fast it is asked', () => {
    const slowly = withoutTime(draw(5_000, { stepMs: 50 }))
    expect(withoutTime(draw(5_000, { stepMs: 1 }))).toEqual(slowly)
    expect(withoutTime(draw(5_000, { symbols: [...SYMBOLS].reverse(), stepMs: 1 }))).toEqual(slowly)
    expect(withoutTime(draw(5_000, { seed: '2', stepMs: 50 }))).not.toEqual(slowly)
  })

  it('gives one symbol the same trades whatever else is traded', () => {
    const alone = withoutTime(draw(200, { symbols: ['MSFT'] }))
    const among = withoutTime(draw(5_000)).filter(({ s }) => s === 'MSFT')
    expect(among.length).toBeGreaterThan(200)
    expect(among.slice(0, 200)).toEqual(alone)
  })

  it('lists real names first, then made-up ones, each once', () => {
    const listings = createListings(500)
    const names = listings.map(({ symbol }) => symbol)
    expect(new Set(names).size).toBe(500)
    expect(names[0]).toBe('AAPL')
    expect(names.slice(0, 12)).toEqual(
      expect.arrayContaining(['MSFT', 'NVDA', 'AMZN', 'BINANCE:BTCUSDT', 'BINANCE:ETHUSDT']),
    )
    expect(createListings(20)).toEqual(listings.slice(0, 20))
  })

  it('trades popular symbols more, by Zipf’s law', () => {
    const market = new Market({ seed: '1', symbols: 300 })
    market.trade(market.symbols)
    const counts = new Map<string, number>()
    for (let i = 0; i < 100_000; i++) {
      const { s } = market.next(START_MS + i)!
      counts.set(s, (counts.get(s) ?? 0) + 1)
    }
    const [first, second, , , , , , eighth] = market.symbols.map((symbol) => counts.get(symbol) ?? 0)
    expect(first! / second!).toBeGreaterThan(1.7)
    expect(first! / second!).toBeLessThan(2.3)
    expect(first! / eighth!).toBeGreaterThan(6)
    expect(first! / eighth!).toBeLessThan(10)
    expect(counts.size).toBeGreaterThan(290)
  })

  it('lets over half of a symbol’s trades share their millisecond with another', () => {
    for (const [symbol, trades] of bySymbol(draw(20_000))) {
      const counts = new Map<number, number>()
      for (const { t } of trades) counts.set(t, (counts.get(t) ?? 0) + 1)
      const shared = trades.filter(({ t }) => counts.get(t)! > 1).length
      expect(shared / trades.length, symbol).toBeGreaterThan(0.5)
    }
  })

  it('keeps prices believable over a long time: whole ticks, never far from where they started', () => {
    for (const [symbol, trades] of bySymbol(draw(200_000))) {
      const { startPrice, ticksPerUnit } = createListings(300).find((listing) => listing.symbol === symbol)!
      expect(trades.filter(({ p }) => Math.round(p * ticksPerUnit) / ticksPerUnit !== p)).toEqual([])
      expect(trades.filter(({ p }) => Math.abs(p / startPrice - 1) > 0.25)).toEqual([])
      expect(new Set(trades.map(({ p }) => p)).size, symbol).toBeGreaterThan(5)
    }
  })

  it('has what real feeds have: odd lots, price updates, conditions absent and null, late trades', () => {
    const trades = draw(50_000)
    const stocks = trades.filter(({ s }) => s === 'AAPL')
    expect(stocks.filter(({ v, c }) => (v > 0 && v < 100) !== (c?.includes('12') ?? false))).toEqual([])
    expect(trades.filter(({ s, v }) => s.startsWith('OANDA:') && v !== 0)).toEqual([])
    expect(stocks.some(({ v }) => v === 0)).toBe(true)
    expect(trades.some((trade) => !('c' in trade))).toBe(true)
    expect(trades.some(({ c }) => c === null)).toBe(true)
    expect(new Set(stocks.flatMap(({ c }) => c ?? []))).toEqual(new Set(['1', '12', '16', '20', '24', '25', '37']))

    let newest = 0
    let late = 0
    let latestMs = 0
    for (const { t } of stocks) {
      if (t < newest) late++
      latestMs = Math.max(latestMs, newest - t)
      newest = Math.max(newest, t)
    }
    expect(latestMs).toBeGreaterThan(1_000)
    expect(latestMs).toBeLessThanOrEqual(5_000)
    expect(late / stocks.length).toBeGreaterThan(0.003)
    expect(late / stocks.length).toBeLessThan(0.05)
  })

  it('begins a new order when its symbol is wanted again, not the old one with its old time', () => {
    const market = new Market({ seed: '1', symbols: 300 })
    for (let i = 0; i < 50; i++) {
      market.trade(['BINANCE:BTCUSDT'])
      market.next(START_MS)
      market.trade(['BINANCE:ETHUSDT'])
      market.next(START_MS)
    }
    market.trade(['BINANCE:BTCUSDT'])
    expect(market.next(START_MS + 60_000)!.t).toBe(START_MS + 60_000)
  })

  it('trades nothing when nothing is wanted, and leaves out what is not listed', () => {
    const market = new Market({ seed: '1', symbols: 10 })
    market.trade(['ZZZZ'])
    expect(market.next(START_MS)).toBeUndefined()
    expect(market.has('ZZZZ')).toBe(false)
  })
})

describe('the activity of a day', () => {
  const at = (hour: number) => activity(Date.UTC(2026, 0, 5) + hour * 3_600_000)

  it('draws a U between the opening and the closing of the US session', () => {
    expect(at(14.5)).toBeGreaterThan(1.2)
    expect(at(21)).toBeGreaterThan(1.2)
    expect(at(17.75)).toBeLessThan(0.8)
  })

  it('is smooth and stays within a quarter of the configured rate', () => {
    for (let minute = 0; minute < 2 * 1_440; minute++) {
      const value = at(minute / 60)
      expect(value).toBeGreaterThanOrEqual(0.75)
      expect(value).toBeLessThanOrEqual(1.25)
      expect(Math.abs(at((minute + 1) / 60) - value)).toBeLessThan(0.01)
    }
  })
})

it('the chance of a seed is evenly spread', () => {
  const random = createRandom('any')
  const tenths = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i++) tenths[Math.floor(random() * 10)]!++
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})
