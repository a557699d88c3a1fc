import fc from 'fast-check'
import { expect, test } from 'vitest'
import { exactSum } from '../testing/reference.js'
import { addToSum, emptySum, mergeSum, valueOf, type Sum } from './sums.js'

function sumOf(values: readonly number[]): Sum {
  const sum = emptySum()
  for (const value of values) addToSum(sum, value)
  return sum
}

/** Positive, as prices and volumes are, over many orders of magnitude. */
const values = fc.array(fc.double({ min: 1e-8, max: 1e12, noNaN: true }), { maxLength: 200 })
const UNITS = 2 * Number.EPSILON

test('the reference itself is exact', () => {
  expect(exactSum([0.1, 0.2])).toBe(0.30000000000000004)
  expect(exactSum([1e100, 1, -1e100])).toBe(1)
  expect(exactSum([5e-324, 5e-324])).toBe(1e-323)
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(exactSum([value])).toBe(value === 0 ? 0 : value)
    }),
  )
})

test('what rounding takes from a plain sum is kept: 1 + 1e100 + 1 - 1e100 = 2', () => {
  expect(valueOf(sumOf([1, 1e100, 1, -1e100]))).toBe(2)
})

test('ten million cents are a hundred thousand, exactly', () => {
  const sum = emptySum()
  for (let i = 0; i < 10_000_000; i++) addToSum(sum, 0.01)
  expect(valueOf(sum)).toBe(100_000)
})

test('a sum equals the exact one to two units in the last place', () => {
  fc.assert(
    fc.property(values, (all) => {
      const exact = exactSum(all)
      expect(Math.abs(valueOf(sumOf(all)) - exact)).toBeLessThanOrEqual(UNITS * exact)
    }),
  )
})

test('so does one that was merged from parts', () => {
  fc.assert(
    fc.property(fc.array(values, { maxLength: 30 }), (parts) => {
      const merged = emptySum()
      for (const part of parts) mergeSum(merged, sumOf(part))
      const exact = exactSum(parts.flat())
      expect(Math.abs(valueOf(merged) - exact)).toBeLessThanOrEqual(UNITS * exact)
    }),
  )
})

test('merging with nothing changes nothing', () => {
  fc.assert(
    fc.property(values, (all) => {
      const left = emptySum()
      mergeSum(left, sumOf(all))
      const right = sumOf(all)
      mergeSum(right, emptySum())
      expect(left).toEqual(sumOf(all))
      expect(right).toEqual(sumOf(all))
    }),
  )
})
