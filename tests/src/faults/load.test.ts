import { expect, test } from 'vitest'
import { schedule } from './schedule.js'
import { Trades, type TradeRecord } from './trades.js'

const NOW_MS = Date.UTC(2026, 0, 2)
const PARTITIONS = 6

test('the same seed gives the same load, which adds up to what was asked for and has bursts, pauses and idle partitions', () => {
  const options = { seed: '1', records: 100_000, durationMs: 120_000, partitions: PARTITIONS }
  const slots = schedule(options)
  expect(slots).toEqual(schedule(options))
  expect(slots.reduce((sum, { records }) => sum + records, 0)).toBe(100_000)
  const usual = 100_000 / slots.length
  expect(slots.some(({ records }) => records === 0)).toBe(true)
  expect(slots.some(({ records }) => records > 2 * usual)).toBe(true)
  expect(slots.some(({ idle }) => idle.size > 0 && idle.size < PARTITIONS)).toBe(true)
})

const trades = (seed: string) => new Trades({ seed, partitions: PARTITIONS, nowMs: () => NOW_MS })
const some = (source: Trades, count: number): TradeRecord[] =>
  Array.from({ length: count }, (_, at) => source.next(NOW_MS - 1_000_000 + at))

test('the same seed gives the same records', () => {
  expect(some(trades('1'), 5_000)).toEqual(some(trades('1'), 5_000))
  expect(some(trades('1'), 100)).not.toEqual(some(trades('2'), 100))
})

test('every kind of unusable record comes, and rarely', () => {
  const records = some(trades('1'), 200_000)
  const kinds = new Map<string, number>()
  for (const { unusable } of records) if (unusable) kinds.set(unusable, (kinds.get(unusable) ?? 0) + 1)
  expect(kinds.size).toBe(10)
  expect(Math.max(...kinds.values())).toBeLessThan(100)
})

test('a partition that is left idle gets nothing', () => {
  const source = trades('1')
  source.leaveIdle(new Set([0, 3]))
  const hit = new Set(some(source, 20_000).flatMap(({ partition, unusable }) => (unusable ? [] : [partition])))
  expect([...hit].sort()).toEqual([1, 2, 4, 5])
})
