import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_AHEAD_MS, MAX_PRICE, MAX_VOLUME } from '@candlewick/schemas/trade-rules'
import { validateTrade } from './validate.js'

const NOW_MS = 1_760_000_000_000
const context = { source: 'finnhub', receivedAtMs: NOW_MS }
const good = { symbol: 'AAPL', price: 190.12, volume: 100, timestamp: NOW_MS - 5, conditions: ['1', '12'] }
const verdict = (change: object) => validateTrade({ ...good, ...change }, context)
const reason = (change: object) => {
  const result = verdict(change)
  return result.kind === 'invalid' ? result.reason : 'valid'
}

describe('a trade of a feed', () => {
  it('is taken as it is, with its source and the time it arrived', () => {
    expect(verdict({})).toEqual({
      kind: 'valid',
      trade: { ...good, receivedAt: NOW_MS, source: 'finnhub' },
    })
  })

  it.each([
    ...['AAPL', 'BRK.B', 'BINANCE:BTCUSDT', 'OANDA:EUR_USD', 'IC MARKETS:1', 'BTC/USD', 'RDS-A', '^GSPC', '7203.T'],
    ...['Ω', '株式', '😀', 'x'.repeat(64)],
  ])('may be of the symbol %s', (symbol) => {
    expect(reason({ symbol })).toBe('valid')
  })

  it.each([
    ...[
      '',
      ' ',
      'x'.repeat(65),
      'A\nB',
      'A\u0000',
      'A\tB',
      '\u007f',
      'A\u200bB',
      'A\u2028B',
      '\ud800',
      '\ue000',
      '\ufffd',
    ],
    ...[undefined, null, 7, {}, ['AAPL']],
  ])('may not be of the symbol %j', (symbol) => {
    expect(reason({ symbol })).toBe('symbol')
  })

  it.each([0, -1, -0, NaN, Infinity, -Infinity, 1.7e308, MAX_PRICE * 1.01, '190', null, undefined, {}])(
    'may not have the price %s',
    (price) => {
      expect(reason({ price })).toBe('price')
    },
  )

  it('may be a price update, with volume 0', () => {
    expect(verdict({ volume: 0 })).toMatchObject({ kind: 'valid', trade: { volume: 0 } })
  })

  it.each([-1, NaN, Infinity, 1.7e308, MAX_VOLUME * 1.01, '1', null, undefined])(
    'may not have the volume %s',
    (volume) => {
      expect(reason({ volume })).toBe('volume')
    },
  )

  it.each([0, -5, 1.5, NaN, Infinity, 2 ** 53, String(NOW_MS), null, undefined])(
    'may not have the time %s',
    (timestamp) => {
      expect(reason({ timestamp })).toBe('timestamp')
    },
  )

  it('may be from years ago, and up to 5 minutes ahead of the clock, but no more', () => {
    expect(reason({ timestamp: 1 })).toBe('valid')
    expect(reason({ timestamp: NOW_MS + MAX_AHEAD_MS })).toBe('valid')
    expect(reason({ timestamp: NOW_MS + MAX_AHEAD_MS + 1 })).toBe('timestamp-ahead')
    expect(MAX_AHEAD_MS).toBe(300_000)
  })

  it.each([null, undefined])('has the conditions null when the feed says %s', (conditions) => {
    expect(verdict({ conditions })).toMatchObject({ kind: 'valid', trade: { conditions: null } })
  })

  it.each(['1', [1], [null], { 0: '1' }, ['x'.repeat(65)], new Array(101).fill('1')])(
    'may not have the conditions %j',
    (conditions) => {
      expect(reason({ conditions })).toBe('conditions')
    },
  )

  it('never makes the check itself fail, whatever it holds', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), fc.anything(), fc.anything(), (...values) => {
        const [symbol, price, volume, timestamp, conditions] = values
        const result = validateTrade({ symbol, price, volume, timestamp, conditions }, context)
        if (result.kind === 'invalid') return result.detail.length > 0
        const { trade } = result
        return trade.price > 0 && trade.volume >= 0 && trade.timestamp > 0 && trade.symbol.length > 0
      }),
    )
  })
})
