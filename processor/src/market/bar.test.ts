import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Trade } from '@candlewick/schemas/types'
import { referenceOf } from '../testing/reference.js'
import { OPENING_MS, tradeAt, tradeStreams } from '../testing/trades.js'
import { addToBar, emptyBar, isPriced, mergeBars, publishBar, type BarState } from './bar.js'
import { valueOf } from './sums.js'

type Numbered = readonly (readonly [Trade, number])[]

function barOf(trades: Numbered): BarState {
  const state = emptyBar()
  for (const [trade, offset] of trades) addToBar(state, trade, offset)
  return state
}

const numbered = (trades: readonly Trade[]): Numbered => trades.map((trade, offset) => [trade, offset] as const)

/** The parts of a bar that have one right value, whatever the order. */
function exactParts({ totals, open, close, high, low }: BarState) {
  return { count: totals.count, open, close, high, low }
}

const place = { symbol: 'AAPL', interval: '5m', startMs: OPENING_MS, closed: true, revision: 0 } as const
const fiveMinutes = tradeStreams({ spanMs: 299_999 })
const threeWays = fiveMinutes.chain((trades) =>
  fc.array(fc.nat(2), { minLength: trades.length, maxLength: trades.length }).map((ways) => {
    const all = numbered(trades)
    return [0, 1, 2].map((way) => barOf(all.filter((_, index) => ways[index] === way))) as [
      BarState,
      BarState,
      BarState,
    ]
  }),
)

describe('a bar is a monoid', () => {
  test('merging is associative and commutative in its exact parts, however the trades are divided', () => {
    fc.assert(
      fc.property(threeWays, ([a, b, c]) => {
        const left = exactParts(mergeBars([mergeBars([a, b]), c]))
        expect(exactParts(mergeBars([a, mergeBars([b, c])]))).toEqual(left)
        expect(exactParts(mergeBars([a, b, c]))).toEqual(left)
        expect(exactParts(mergeBars([c, b, a]))).toEqual(left)
      }),
    )
  })

  test('and gives what one fold over all gives', () => {
    fc.assert(
      fc.property(fiveMinutes, fc.nat(120), (trades, at) => {
        const all = numbered(trades)
        const merged = mergeBars([barOf(all.slice(0, at)), barOf(all.slice(at))])
        expect(exactParts(merged)).toEqual(exactParts(barOf(all)))
      }),
    )
  })

  test('an empty bar changes nothing, to the bit', () => {
    fc.assert(
      fc.property(fiveMinutes, (trades) => {
        const bar = barOf(numbered(trades))
        expect(mergeBars([bar])).toEqual(bar)
        expect(mergeBars([emptyBar(), bar, emptyBar()])).toEqual(bar)
      }),
    )
  })

  test('merging leaves the parts as they were', () => {
    fc.assert(
      fc.property(threeWays, (parts) => {
        const before = structuredClone(parts)
        mergeBars(parts)
        expect(parts).toEqual(before)
      }),
    )
  })
})

test('the same trades in the same order give the same bits', () => {
  fc.assert(
    fc.property(fiveMinutes, (trades) => {
      expect(barOf(numbered(trades))).toEqual(barOf(numbered(structuredClone(trades))))
    }),
  )
})

test('minutes merged up the intervals give what an independent computation over all trades gives', () => {
  const day = tradeStreams({ spanMs: 24 * 3_600_000 })
  fc.assert(
    fc.property(day, (trades) => {
      let parts = group(numbered(trades), 60_000, ([trade]) => trade.timestamp, barOf)
      for (const sizeMs of [300_000, 900_000, 3_600_000, 86_400_000 * 2]) {
        parts = group(
          parts,
          sizeMs,
          ({ startMs }) => startMs,
          (inside) => mergeBars(inside.map(({ value }) => value)),
        )
      }
      const reference = referenceOf(trades)
      const bar = mergeBars(parts.map(({ value }) => value))
      const published = publishBar(bar, place)
      expect(bar.totals.count).toBe(reference.count)
      expect(Number.isFinite(bar.high) ? bar.high : null).toBe(reference.high)
      expect(Number.isFinite(bar.low) ? bar.low : null).toBe(reference.low)
      expect(published?.open ?? null).toBe(reference.open)
      expect(published?.close ?? null).toBe(reference.close)
      for (const field of ['price', 'volume', 'notional'] as const) {
        const error = Math.abs(valueOf(bar.totals[field]) - reference[field])
        expect(error).toBeLessThanOrEqual(2 * Number.EPSILON * reference[field])
      }
    }),
  )
})

/** Cuts into windows, ascending, as the stores hand them to a merge. */
function group<T, S>(items: readonly T[], sizeMs: number, timeOf: (item: T) => number, fold: (items: T[]) => S) {
  const windows = new Map<number, T[]>()
  for (const item of items) {
    const startMs = timeOf(item) - (timeOf(item) % sizeMs)
    windows.set(startMs, [...(windows.get(startMs) ?? []), item])
  }
  return [...windows].sort(([a], [b]) => a - b).map(([startMs, inside]) => ({ startMs, value: fold(inside) }))
}

describe('what is published', () => {
  test('nothing while there are odd lots and trades out of sequence alone', () => {
    const bar = barOf(numbered([tradeAt(0, { conditions: ['12'] }), tradeAt(1, { conditions: ['25'] })]))
    expect(isPriced(bar)).toBe(false)
    expect(publishBar(bar, place)).toBeUndefined()
  })

  test('with a price, what came before it is in the bar', () => {
    const bar = barOf(
      numbered([
        tradeAt(0, { price: 200, volume: 5, conditions: ['12'] }),
        tradeAt(1, { price: 150, volume: 10, conditions: ['25'] }),
        tradeAt(2, { price: 100, volume: 10 }),
      ]),
    )
    expect(publishBar(bar, place)).toEqual({
      symbol: 'AAPL',
      interval: '5m',
      start: OPENING_MS,
      open: 100,
      high: 150,
      low: 100,
      close: 100,
      volume: 25,
      notional: 3500,
      vwap: 140,
      trades: 3,
      closed: true,
      revision: 0,
    })
  })

  test('an open bar has revision 0', () => {
    const open = publishBar(barOf(numbered([tradeAt(0)])), { ...place, closed: false, revision: -1 })
    expect(open).toMatchObject({ closed: false, revision: 0 })
  })
})
