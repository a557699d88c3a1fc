import { expect, test } from 'vitest'
import { percentile, summary } from './percentiles.js'

test('a percentile is the smallest measured value that so many are not above', () => {
  const sample = Array.from({ length: 100 }, (_, n) => 100 - n)
  expect([1, 50, 99, 100].map((percent) => percentile(sample, percent))).toEqual([1, 50, 99, 100])
  expect(percentile([7], 50)).toBe(7)
  expect([50, 51].map((percent) => percentile([1, 2], percent))).toEqual([1, 2])
  expect(() => percentile([], 50)).toThrow(RangeError)
})

test('a summary tells the middle, the tail and how many there were', () => {
  expect(summary([1, 2, 300])).toBe('p50      2 ms  p99    300 ms  max    300 ms  (3)')
  expect(summary([])).toBe('nothing was measured')
})
