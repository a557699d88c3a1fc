import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Trade } from '@candlewick/schemas/types'
import { exactSum } from '../testing/reference.js'
import { OPENING_MS, tradeAt, tradeStreams } from '../testing/trades.js'
import { entersBars } from './bar.js'
import { addTradeToMinute, emptyMinute, MINUTE_MS, SLOT_MS, type MinuteState } from './minute.js'
import { stretchOf, totalsOf } from './moving-average.js'
import { valueOf } from './sums.js'
import { meansOf } from './totals.js'

function minutesOf(trades: readonly Trade[]): { startMs: number; value: MinuteState }[] {
  const minutes = new Map<number, MinuteState>()
  trades.filter(entersBars).forEach((trade, offset) => {
    const startMs = trade.timestamp - (trade.timestamp % MINUTE_MS)
    const minute = minutes.get(startMs) ?? emptyMinute()
    minutes.set(startMs, addTradeToMinute(minute, trade, { offset }))
  })
  return [...minutes].sort(([a], [b]) => a - b).map(([startMs, value]) => ({ startMs, value }))
}

test('any stretch of slots holds exactly its trades', () => {
  const slot = fc.integer({ min: -3, max: 60 }).map((index) => OPENING_MS + index * SLOT_MS)
  fc.assert(
    fc.property(tradeStreams({ spanMs: 290_000 }), slot, slot, (trades, one, other) => {
      const stretch = { fromMs: Math.min(one, other), toMs: Math.max(one, other) }
      const totals = totalsOf(minutesOf(trades), stretch)
      const inside = trades
        .filter(entersBars)
        .filter(({ timestamp }) => timestamp >= stretch.fromMs && timestamp < stretch.toMs)
      expect(totals.count).toBe(inside.length)
      const exact = exactSum(inside.map(({ price }) => price))
      expect(Math.abs(valueOf(totals.price) - exact)).toBeLessThanOrEqual(2 * Number.EPSILON * exact)
    }),
  )
})

test('over whole minutes it is the merge of the minutes, to the bit', () => {
  fc.assert(
    fc.property(tradeStreams({ spanMs: 59_999 }), (trades) => {
      const [minute] = minutesOf(trades)
      const totals = totalsOf(minutesOf(trades), { fromMs: OPENING_MS, toMs: OPENING_MS + MINUTE_MS })
      if (minute === undefined) expect(totals.count).toBe(0)
      else expect(totals).toEqual(minute.value.totals)
    }),
  )
})

test('without trades the count is 0 and the means are null', () => {
  const totals = totalsOf([], { fromMs: OPENING_MS, toMs: OPENING_MS + MINUTE_MS })
  expect(meansOf(totals)).toEqual({
    count: 0,
    volume: 0,
    notional: 0,
    mean: null,
    vwap: null,
    priceVolumeMean: null,
  })
})

test('the last millisecond of a slot belongs to it, the next one to the next', () => {
  const trades = [tradeAt(4.999, { volume: 1 }), tradeAt(5, { volume: 2 })]
  const volumeOf = (fromMs: number) => valueOf(totalsOf(minutesOf(trades), { fromMs, toMs: fromMs + SLOT_MS }).volume)
  expect([volumeOf(OPENING_MS), volumeOf(OPENING_MS + SLOT_MS)]).toEqual([1, 2])
})

describe('the stretch', () => {
  const longAgoMs = OPENING_MS - 86_400_000
  test('ends at the clock of the partition, floored to a slot', () => {
    expect(stretchOf(60_000, OPENING_MS + 7_400, longAgoMs)).toEqual({
      fromMs: OPENING_MS + 5_000 - 60_000,
      toMs: OPENING_MS + 5_000,
    })
  })
  test('does not claim to cover what was before the symbol’s first trade', () => {
    expect(stretchOf(3_600_000, OPENING_MS + 60_000, OPENING_MS + 1_200)).toEqual({
      fromMs: OPENING_MS,
      toMs: OPENING_MS + 60_000,
    })
  })
  test('is empty when the first trade lies in the slot that still fills', () => {
    expect(stretchOf(60_000, OPENING_MS + 2_000, OPENING_MS + 6_000)).toEqual({ fromMs: OPENING_MS, toMs: OPENING_MS })
  })
})
