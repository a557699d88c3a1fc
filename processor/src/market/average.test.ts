import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Trade } from '@candlewick/schemas/types'
import { referenceOf } from '../testing/reference.js'
import { OPENING_MS, tradeAt, tradeStreams } from '../testing/trades.js'
import { addTrade, emptyAverage, publishAverage } from './average.js'

function averageOf(trades: readonly Trade[]) {
  const state = emptyAverage()
  trades.forEach((trade, offset) => addTrade(state, trade, { offset }))
  return publishAverage(state, trades[0]?.symbol ?? 'AAPL')
}

test('a running average is what the rules say, computed another way', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('AAPL', 'BINANCE:BTCUSDT').chain((symbol) => tradeStreams({ spanMs: 600_000, symbol })),
      (trades) => {
        const average = averageOf(trades)
        const reference = referenceOf(trades)
        expect(average).toMatchObject({
          count: reference.count,
          min: reference.low,
          max: reference.high,
          first: reference.open,
          last: reference.last,
        })
        expectClose(average.volume, reference.volume)
        expectClose(average.notional, reference.notional)
        expectClose(average.mean, reference.count === 0 ? null : reference.price / reference.count)
        expectClose(average.vwap, reference.volume === 0 ? null : reference.notional / reference.volume)
        expectClose(average.priceVolumeMean, reference.count === 0 ? null : reference.notional / reference.count)
        expect(average.asOf).toBe(Math.max(-1, ...trades.map(({ timestamp }) => timestamp)))
      },
    ),
  )
})

function expectClose(actual: number | null, expected: number | null): void {
  if (expected === null) expect(actual).toBeNull()
  else expect(Math.abs(actual! - expected)).toBeLessThanOrEqual(8 * Number.EPSILON * expected)
}

describe('by hand', () => {
  test('three trades', () => {
    const trades = [
      tradeAt(0, { price: 10, volume: 1 }),
      tradeAt(1, { price: 20, volume: 2 }),
      tradeAt(2, { price: 30, volume: 3 }),
    ]
    expect(averageOf(trades)).toEqual({
      symbol: 'AAPL',
      count: 3,
      volume: 6,
      notional: 140,
      mean: 20,
      vwap: 140 / 6,
      priceVolumeMean: 140 / 3,
      min: 10,
      max: 30,
      first: 10,
      firstTime: OPENING_MS,
      last: 30,
      lastTime: OPENING_MS + 2000,
      asOf: OPENING_MS + 2000,
    })
  })

  test('a price update moves last and nothing else', () => {
    const average = averageOf([tradeAt(0, { price: 10 }), tradeAt(1, { price: 99, volume: 0 })])
    expect(average).toMatchObject({ count: 1, max: 10, first: 10, last: 99, lastTime: OPENING_MS + 1000 })
  })

  test('price updates alone have a last price, and means that are null', () => {
    expect(averageOf([tradeAt(0, { volume: 0 })])).toMatchObject({
      count: 0,
      volume: 0,
      mean: null,
      vwap: null,
      priceVolumeMean: null,
      min: null,
      max: null,
      first: null,
      firstTime: null,
      last: 100,
    })
  })

  test('an odd lot counts, adds volume and sets no price', () => {
    const average = averageOf([tradeAt(0, { price: 10 }), tradeAt(1, { price: 99, volume: 5, conditions: ['12'] })])
    expect(average).toMatchObject({ count: 2, volume: 15, min: 10, max: 10, first: 10, last: 10 })
  })

  test('an official close moves last and adds no volume', () => {
    const average = averageOf([tradeAt(0, { price: 10 }), tradeAt(1, { price: 99, volume: 5000, conditions: ['16'] })])
    expect(average).toMatchObject({ count: 1, volume: 10, max: 10, last: 99 })
  })

  test('a trade out of sequence may be the highest, not the last', () => {
    const average = averageOf([tradeAt(0, { price: 10 }), tradeAt(1, { price: 99, conditions: ['30'] })])
    expect(average).toMatchObject({ count: 2, max: 99, last: 10 })
  })

  test('the same codes mean nothing elsewhere', () => {
    const symbol = 'BINANCE:BTCUSDT'
    const average = averageOf([tradeAt(0, { symbol }), tradeAt(1, { symbol, price: 7, conditions: ['12', '16'] })])
    expect(average).toMatchObject({ count: 2, min: 7, last: 7 })
  })

  test('first and last go by event time, and within a millisecond by offset, not by arrival', () => {
    const late = tradeAt(0, { price: 1 })
    const average = averageOf([
      tradeAt(1, { price: 2 }),
      tradeAt(2, { price: 3 }),
      tradeAt(2, { price: 4 }),
      late,
      { ...late, price: 5 },
    ])
    expect(average).toMatchObject({ first: 1, last: 4 })
  })
})
