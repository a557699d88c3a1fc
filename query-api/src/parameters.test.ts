import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRange, parseSymbol, parseTime, parseWindow } from './parameters.js'

describe('window', () => {
  test.each([
    ['all', null],
    ['5s', 5_000],
    ['60s', 60_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['24h', 86_400_000],
    ['1440m', 86_400_000],
    ['0005s', 5_000],
  ])('%s is accepted', (text, windowMs) => {
    expect(parseWindow(text)).toEqual({ kind: 'ok', value: windowMs })
  })

  test.each([
    ['', 'whole number with its unit'],
    ['5', 'whole number with its unit'],
    ['5d', 'whole number with its unit'],
    ['5M', 'whole number with its unit'],
    ['-5s', 'whole number with its unit'],
    ['1.5m', 'whole number with its unit'],
    [' 5s', 'whole number with its unit'],
    ['5s\n', 'whole number with its unit'],
    ['٥s', 'whole number with its unit'],
    ['ALL', 'whole number with its unit'],
    ['0s', 'longer than nothing'],
    ['7s', 'multiple of 5s'],
    ['25h', 'at most 24h'],
    ['86405s', 'at most 24h'],
    ['999999999h', 'at most 24h'],
    ['9999999999h', 'whole number with its unit'],
  ])('%j is refused with the reason', (text, reason) => {
    expect(parseWindow(text)).toEqual({ kind: 'bad', reason: expect.stringContaining(reason) })
  })

  test('every accepted window is a positive multiple of 5 s of at most 24 h, whatever is written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200_000 }), fc.constantFrom('s', 'm', 'h'), (count, unit) => {
        const parsed = parseWindow(`${count}${unit}`)
        if (parsed.kind === 'bad') return
        expect(parsed.value! % 5_000).toBe(0)
        expect(parsed.value!).toBeGreaterThan(0)
        expect(parsed.value!).toBeLessThanOrEqual(86_400_000)
      }),
    )
  })
})

describe('a time', () => {
  test.each([
    ['0', 0],
    ['1772463630000', 1_772_463_630_000],
    ['2026-03-02T15:00:30Z', 1_772_463_630_000],
    ['2026-03-02t15:00:30z', 1_772_463_630_000],
    ['2026-03-02 15:00:30Z', 1_772_463_630_000],
    ['2026-03-02T17:00:30+02:00', 1_772_463_630_000],
    ['2026-03-02T15:00:30.5Z', 1_772_463_630_500],
    ['2024-02-29T00:00:00Z', 1_709_164_800_000],
    ['2026-03-02T15:00:30.123456789Z', 1_772_463_630_123],
  ])('%s is accepted', (text, timestampMs) => {
    expect(parseTime('from', text)).toEqual({ kind: 'ok', value: timestampMs })
  })

  test.each([
    ['', 'epoch milliseconds or an RFC 3339'],
    ['yesterday', 'epoch milliseconds or an RFC 3339'],
    ['-5', 'epoch milliseconds or an RFC 3339'],
    ['1e12', 'epoch milliseconds or an RFC 3339'],
    ['2026-03-02', 'epoch milliseconds or an RFC 3339'],
    ['2026-03-02T15:00:30', 'epoch milliseconds or an RFC 3339'],
    ['2026-03-02T17:00:30 02:00', '%2B'],
    ['2026-02-30T00:00:00Z', 'not a time that exists'],
    ['2026-13-01T00:00:00Z', 'not a time that exists'],
    ['2026-03-02T25:00:00Z', 'not a time that exists'],
    ['1969-12-31T23:59:59Z', 'between 1970 and 9999'],
    ['99999999999999999999', 'past the year 9999'],
  ])('%j is refused with the reason', (text, reason) => {
    expect(parseTime('from', text)).toEqual({ kind: 'bad', reason: expect.stringContaining(reason) })
  })

  test('survives the way to RFC 3339 and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (timestampMs) => {
        expect(parseTime('to', new Date(timestampMs).toISOString())).toEqual({ kind: 'ok', value: timestampMs })
      }),
    )
  })
})

describe('a range', () => {
  test('ends now and begins nowhere unless told', () => {
    expect(parseRange({ limit: 5 }, 1_000)).toEqual({ kind: 'ok', value: { toMs: 1_000, limit: 5 } })
    expect(parseRange({ from: '7', to: '7', limit: 5 }, 1_000)).toEqual({
      kind: 'ok',
      value: { fromMs: 7, toMs: 7, limit: 5 },
    })
  })

  test('that runs backwards is refused', () => {
    expect(parseRange({ from: '8', to: '7', limit: 5 }, 1_000)).toEqual({
      kind: 'bad',
      reason: 'from is later than to',
    })
    expect(parseRange({ from: '1001', limit: 5 }, 1_000)).toEqual({ kind: 'bad', reason: 'from lies in the future' })
  })
})

describe('a symbol', () => {
  test.each(['AAPL', 'BINANCE:BTCUSDT', 'FX:EUR/USD', 'IC MARKETS:1', 'BRK.B', '^GSPC', '株式', 'x'.repeat(64)])(
    '%s may be asked for',
    (text) => {
      expect(parseSymbol(text)).toEqual({ kind: 'ok', value: text })
    },
  )

  test.each([
    ['', 'empty'],
    ['x'.repeat(65), '1 to 64'],
    ['A\r\nSet-Cookie: x', 'printable'],
    ['A\u0000', 'printable'],
    ['A\u202eB', 'printable'],
    ['A\ud800', 'printable'],
    ['A\ufffd', 'printable'],
  ])('%j may not, and it is said why', (text, reason) => {
    expect(parseSymbol(text)).toEqual({ kind: 'bad', reason: expect.stringContaining(reason) })
  })
})
