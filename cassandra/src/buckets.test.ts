import { expect, test } from 'vitest'
import { addMonths, averagesSlotOf, dayOf, monthOf, seqOf } from './buckets.js'
import * as cql from './encode.js'

const at = (iso: string) => Date.parse(iso)
const day = (iso: string) => dayOf(at(iso))

test('the last millisecond of a day and of a month belong to it, the next one does not', () => {
  expect(dayOf(at('2026-02-28T23:59:59.999Z'))).toBe(day('2026-02-28'))
  expect(dayOf(at('2026-03-01T00:00:00.000Z'))).toBe(day('2026-03-01'))
  expect(monthOf(at('2026-02-28T23:59:59.999Z'))).toBe(day('2026-02-01'))
  expect(monthOf(at('2026-03-01T00:00:00.000Z'))).toBe(day('2026-03-01'))
})

test('times before 1970 fall into the day that contains them, and early years are not taken for the 1900s', () => {
  expect(dayOf(-1)).toBe(-1)
  expect(monthOf(-1)).toBe(day('1969-12-01'))
  expect(monthOf(at('0050-07-15T00:00:00Z'))).toBe(day('0050-07-01'))
})

test('months are counted over the ends of years', () => {
  expect(addMonths(day('2026-11-01'), 2)).toBe(day('2027-01-01'))
  expect(addMonths(day('2026-01-01'), -1)).toBe(day('2025-12-01'))
})

test('a slot of the averages begins at a multiple of five seconds', () => {
  expect(averagesSlotOf(at('2026-11-20T14:30:04.999Z'))).toBe(at('2026-11-20T14:30:00Z'))
  expect(averagesSlotOf(at('2026-11-20T14:30:05.000Z'))).toBe(at('2026-11-20T14:30:05Z'))
})

test('seq holds any partition and offset exactly and orders by partition, then offset', () => {
  for (const [partition, offset] of [
    [0, 0],
    [11, 4_294_967_296],
    [0x7fff, 2 ** 48 - 1],
  ] as const) {
    expect(cql.seq(partition, offset).readBigInt64BE()).toBe(seqOf(partition, offset))
    expect(seqOf(partition, offset)).toBe(BigInt(partition) * 2n ** 48n + BigInt(offset))
  }
  expect(() => cql.seq(0, 2 ** 48)).toThrow(/seq cannot hold/)
})
