import type { SymbolSummary } from '@candlewick/schemas/queries'
import { describe, expect, it } from 'vitest'
import type { Bar, Tick } from './protocol.js'
import { listed, type MarketState, nothingKnown, QUIET_AFTER_MS, quietFor, withFrame, withSummaries } from './state.js'

const NOON = Date.UTC(2026, 0, 5, 12)

const tick = (symbol: string, price: number, time = NOON): Tick => ({ symbol, price, volume: 1, time })
const prices = (seq: number, data: Tick[], snapshot = false) => ({ type: 'prices', seq, data, snapshot }) as const

function summary(symbol: string, last: number | null, lastTime: number | null, trades = 1): SymbolSummary {
  const day: Bar = {
    symbol,
    interval: '1d',
    start: Date.UTC(2026, 0, 5),
    open: 10,
    high: 12,
    low: 9,
    close: 11,
    volume: 5,
    notional: 55,
    vwap: 11,
    trades,
    closed: false,
    revision: 0,
  }
  return { symbol, last, lastTime, minute: null, day, average: { symbol } as SymbolSummary['average'] }
}

describe('the feed', () => {
  it('makes a row of every symbol it names and moves it with every new price', () => {
    let state = withFrame(nothingKnown, prices(1, [tick('AAPL', 10), tick('MSFT', 20)]), NOON)
    state = withFrame(state, prices(2, [tick('AAPL', 9, NOON + 1)]), NOON)
    expect(state.rows.get('AAPL')).toMatchObject({ last: 9, lastTime: NOON + 1, moves: 1, direction: 'down' })
    expect(state.rows.get('MSFT')).toMatchObject({ last: 20, moves: 0 })
  })

  it('keeps the very same row object where nothing was said about it', () => {
    const before = withFrame(nothingKnown, prices(1, [tick('AAPL', 10), tick('MSFT', 20)]), NOON)
    const after = withFrame(before, prices(2, [tick('AAPL', 11, NOON + 1)]), NOON)
    expect(after.rows.get('MSFT')).toBe(before.rows.get('MSFT'))
    expect(before.rows.get('AAPL')?.last).toBe(10)
  })

  it('counts a trade at an unchanged price as heard, not as a move', () => {
    let state = withFrame(nothingKnown, prices(1, [tick('AAPL', 10)]), NOON)
    state = withFrame(state, prices(2, [tick('AAPL', 10, NOON + 500)]), NOON + 500)
    expect(state.rows.get('AAPL')).toMatchObject({ moves: 0, lastTime: NOON + 500, heardAtMs: NOON + 500 })
  })

  it('does not let an older trade replace a newer price', () => {
    let state = withFrame(nothingKnown, prices(1, [tick('AAPL', 10, NOON)]), NOON)
    state = withFrame(state, prices(2, [tick('AAPL', 5, NOON - 1)]), NOON)
    expect(state.rows.get('AAPL')?.last).toBe(10)
  })

  it('notices how many numbered frames never came', () => {
    let state = withFrame(nothingKnown, prices(7, []), NOON)
    expect(state.missedFrames).toBe(0)
    state = withFrame(state, { type: 'heartbeat', seq: 8 }, NOON)
    expect(state.missedFrames).toBe(0)
    state = withFrame(state, { type: 'bars', seq: 12, data: [] }, NOON)
    expect(state.missedFrames).toBe(3)
  })

  it('starts numbering anew with every connection', () => {
    let state = withFrame(nothingKnown, prices(900, []), NOON)
    state = withFrame(state, { type: 'welcome', connection: 'b', heartbeatMs: 1000 }, NOON)
    state = withFrame(state, prices(1, []), NOON)
    state = withFrame(state, prices(2, []), NOON)
    expect(state).toMatchObject({ missedFrames: 0, lastSeq: 2 })
  })
})

describe('answers of /symbols', () => {
  it('bring the day and leave a later price of the feed alone', () => {
    let state = withFrame(nothingKnown, prices(1, [tick('AAPL', 12, NOON)]), NOON)
    state = withSummaries(state, [summary('AAPL', 11, NOON - 1000)])
    expect(state.rows.get('AAPL')).toMatchObject({ last: 12, day: { open: 10, vwap: 11 } })
  })

  it('bring the price where the feed is behind', () => {
    let state = withFrame(nothingKnown, prices(1, [tick('AAPL', 12, NOON)]), NOON)
    state = withSummaries(state, [summary('AAPL', 13, NOON + 1), summary('NEW', null, null)])
    expect(state.rows.get('AAPL')?.last).toBe(13)
    expect(state.rows.get('NEW')).toMatchObject({ last: null, lastTime: null })
  })
})

describe('quiet', () => {
  const rowOf = (state: MarketState) => state.rows.get('AAPL')!

  it('is a symbol whose last trade is long ago', () => {
    const state = withFrame(nothingKnown, prices(1, [tick('AAPL', 1, NOON)], true), NOON + 5)
    expect(quietFor(rowOf(state), NOON + QUIET_AFTER_MS - 1)).toBeNull()
    expect(quietFor(rowOf(state), NOON + QUIET_AFTER_MS)).toBe(QUIET_AFTER_MS)
  })

  it('is not a replayed day of the past that is being heard now', () => {
    const longAgo = Date.UTC(2013, 9, 8)
    const live = withFrame(nothingKnown, prices(1, [tick('AAPL', 1, longAgo)]), NOON)
    expect(quietFor(rowOf(live), NOON + 1000)).toBeNull()
    expect(quietFor(rowOf(live), NOON + QUIET_AFTER_MS)).toBe(NOON + QUIET_AFTER_MS - longAgo)
  })

  it('is told from a snapshot at once: a snapshot is not a trade', () => {
    const state = withFrame(nothingKnown, prices(1, [tick('AAPL', 1, NOON - 3_600_000)], true), NOON)
    expect(quietFor(rowOf(state), NOON)).toBe(3_600_000)
  })
})

describe('the order of the list', () => {
  const state = withSummaries(nothingKnown, [
    summary('B', 1, NOON, 5),
    summary('A', 1, NOON, 5),
    summary('C', 1, NOON, 9),
  ])

  it('is by trades of the day, equal ones by name', () => {
    expect(listed(state, '', 'activity')).toEqual(['C', 'A', 'B'])
  })

  it('is by name when asked', () => {
    expect(listed(state, '', 'name')).toEqual(['A', 'B', 'C'])
  })

  it('holds only what contains the typed text, in any case', () => {
    const crypto = withSummaries(state, [summary('BINANCE:BTCUSDT', 1, NOON)])
    expect(listed(crypto, ' btc ', 'name')).toEqual(['BINANCE:BTCUSDT'])
    expect(listed(crypto, 'zzz', 'name')).toEqual([])
  })
})
