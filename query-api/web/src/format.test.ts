import { describe, expect, it } from 'vitest'
import {
  change,
  formatAge,
  formatAmount,
  formatMinute,
  formatMoment,
  formatPrice,
  priceDigits,
  splitSymbol,
} from './format.js'

const at = (year: number, month: number, day: number, hour = 0, minute = 0, second = 0) =>
  new Date(year, month - 1, day, hour, minute, second).getTime()

describe('prices', () => {
  it.each([
    [91_234.5, '91,234.50'],
    [1, '1.00'],
    [0.1523, '0.1523'],
    [0.00001234, '0.00001234'],
    [0, '0.00'],
    [-3.5, '-3.50'],
  ])('%d is written %s', (price, text) => {
    expect(formatPrice(price)).toBe(text)
  })

  it('are written with the decimals asked for', () => {
    expect(formatPrice(0.99, 4)).toBe('0.9900')
    expect(priceDigits(0.99)).toBe(4)
  })

  it('that are missing are a dash', () => {
    expect(formatPrice(null)).toBe('–')
    expect(formatPrice(undefined)).toBe('–')
  })
})

describe('amounts', () => {
  it.each([
    [0, '0'],
    [9999, '9,999'],
    [12_345, '12.3K'],
    [4_560_000, '4.56M'],
    [0.00321, '0.00321'],
    [null, '–'],
  ])('%s is written %s', (amount, text) => {
    expect(formatAmount(amount)).toBe(text)
  })
})

describe('change', () => {
  it('has its sign and its direction', () => {
    expect(change(100, 101.234)).toEqual({ text: '+1.23%', direction: 'up' })
    expect(change(100, 98)).toEqual({ text: '−2.00%', direction: 'down' })
  })

  it('too small to be seen has no direction', () => {
    expect(change(100, 100.001)).toEqual({ text: '0.00%', direction: 'flat' })
    expect(change(100, 99.999)).toEqual({ text: '0.00%', direction: 'flat' })
  })

  it('from nothing is nothing', () => {
    expect(change(null, 3).text).toBe('')
    expect(change(3, null).text).toBe('')
    expect(change(0, 3).text).toBe('')
  })
})

describe('times', () => {
  it.each([
    [0, 'now'],
    [999, 'now'],
    [1000, '1s'],
    [59_999, '59s'],
    [60_000, '1m'],
    [3_600_000, '1h'],
    [172_800_000, '2d'],
  ])('%d ms ago is %s', (ageMs, text) => {
    expect(formatAge(ageMs)).toBe(text)
  })

  it('of today are a clock time, of another day have its date, of another year its year', () => {
    const now = at(2026, 11, 21, 15)
    expect(formatMoment(at(2026, 11, 21, 9, 5, 7), now)).toBe('09:05:07')
    expect(formatMoment(at(2026, 11, 20, 9, 5, 7), now)).toBe('20 Nov, 09:05')
    expect(formatMoment(at(2013, 10, 8, 21), now)).toBe('8 Oct 2013, 21:00')
  })

  it('of minutes have no seconds', () => {
    const now = at(2026, 11, 21, 15)
    expect(formatMinute(at(2026, 11, 21, 9, 0), now)).toBe('09:00')
    expect(formatMinute(at(2026, 11, 20, 9, 0), now)).toBe('20 Nov, 09:00')
  })
})

it('a symbol with a venue is split at its colon', () => {
  expect(splitSymbol('BINANCE:BTCUSDT')).toEqual({ name: 'BTCUSDT', venue: 'BINANCE' })
  expect(splitSymbol('AAPL')).toEqual({ name: 'AAPL', venue: '' })
  expect(splitSymbol(':ODD')).toEqual({ name: ':ODD', venue: '' })
})
