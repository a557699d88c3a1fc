import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as cql from './encode.js'
import { ValueOutOfRange } from './errors.js'

test('every whole number a double holds exactly arrives as the same bigint', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(cql.bigint('count', value).readBigInt64BE()).toBe(BigInt(value))
    }),
  )
})

test('every double arrives with the same bits', () => {
  fc.assert(
    fc.property(fc.double(), (value) => {
      expect(Object.is(cql.double(value)?.readDoubleBE(), value)).toBe(true)
    }),
  )
})

test('a value that its column cannot hold is refused, naming the column', () => {
  expect(() => cql.bigint('count', 2 ** 53)).toThrow(ValueOutOfRange)
  expect(() => cql.bigint('count', 0.5)).toThrow('count cannot hold 0.5')
  expect(() => cql.int('revision', 2 ** 31)).toThrow(ValueOutOfRange)
  expect(() => cql.timestamp('ts', 8.64e15 + 1)).toThrow(ValueOutOfRange)
  expect(() => cql.timestamp('ts', Number.NaN)).toThrow(ValueOutOfRange)
  expect(() => cql.date('day', Number.NaN)).toThrow(ValueOutOfRange)
  expect(() => cql.keyText('symbol', '')).toThrow(ValueOutOfRange)
  expect(() => cql.keyText('symbol', 'x'.repeat(65_536))).toThrow('symbol cannot hold text of 65536 bytes')
})

test('a missing value leaves its column unset', () => {
  expect([cql.double(null), cql.text(null), cql.optionalTimestamp('last_time', null)]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})
