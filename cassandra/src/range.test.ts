import { expect, test } from 'vitest'
import { dayOf } from './buckets.js'
import { dayBuckets, MAX_DAYS, MAX_MONTHS, monthBuckets, RangeTooWide } from './range.js'

const at = (iso: string) => Date.parse(iso)
const days = (...isos: string[]) => isos.map((iso) => dayOf(at(iso)))

test('both ends belong to the range', () => {
  const range = { fromMs: at('2026-11-19T23:59:59.999Z'), toMs: at('2026-11-21T00:00:00Z'), limit: 1 }
  expect(dayBuckets(range).days).toEqual(days('2026-11-19', '2026-11-20', '2026-11-21'))
  const months = { fromMs: at('2025-12-31T23:59:59.999Z'), toMs: at('2026-02-01T00:00:00Z'), limit: 1 }
  expect(monthBuckets(months).days).toEqual(days('2025-12-01', '2026-01-01', '2026-02-01'))
})

test('without a beginning the newest partition is searched first', () => {
  const range = { toMs: at('2026-11-21T12:00:00Z'), limit: 1 }
  expect(dayBuckets(range).days).toHaveLength(MAX_DAYS)
  expect(dayBuckets(range).days.slice(0, 2)).toEqual(days('2026-11-21', '2026-11-20'))
  expect(monthBuckets(range).days).toHaveLength(MAX_MONTHS)
  expect(monthBuckets(range).days.slice(0, 2)).toEqual(days('2026-11-01', '2026-10-01'))
})

test('more days than are searched for one answer are refused, not cut off', () => {
  const toMs = at('2026-11-21T12:00:00Z')
  expect(() => dayBuckets({ fromMs: 0, toMs, limit: 1 })).toThrow(RangeTooWide)
  expect(monthBuckets({ fromMs: 0, toMs, limit: 1 }).days).toHaveLength(683)
})

test('an empty or impossible range has no partitions', () => {
  expect(dayBuckets({ fromMs: 2, toMs: 1, limit: 1 }).days).toEqual([0])
  expect(dayBuckets({ fromMs: 86_400_000, toMs: 1, limit: 1 }).days).toEqual([])
  expect(monthBuckets({ fromMs: 0, toMs: -1, limit: 1 }).days).toEqual([])
  expect(monthBuckets({ toMs: Number.POSITIVE_INFINITY, limit: 1 }).days).toHaveLength(MAX_MONTHS)
})
