import { describe, expect, test } from 'vitest'
import { ruleOf } from './conditions.js'

const trade = { symbol: 'AAPL', volume: 100, conditions: ['1'] as string[] | null }

const regular = { counts: true, setsClose: true, setsRange: true, setsLast: true }
const volumeOnly = { counts: true, setsClose: false, setsRange: false, setsLast: false }
const notLast = { counts: true, setsClose: false, setsRange: true, setsLast: false }
const lastOnly = { counts: false, setsClose: false, setsRange: false, setsLast: true }

describe('a US equity', () => {
  test.each([
    ['no conditions', null, regular],
    ['an empty list', [], regular],
    ['regular', ['1'], regular],
    ['form-T', ['24'], regular],
    ['an unknown code', ['999'], regular],
    ['a name of Object’s', ['constructor'], regular],
    ['an odd lot', ['1', '12'], volumeOnly],
    ['sold out of sequence', ['25'], notLast],
    ['sold out of sequence, the other code', ['1', '30'], notLast],
    ['the official close', ['16'], lastOnly],
    ['the official open', ['20'], lastOnly],
    ['an odd lot out of sequence: what both allow', ['12', '25'], volumeOnly],
    ['the same the other way round', ['25', '1', '12'], volumeOnly],
  ])('%s', (_name, conditions, rule) => {
    expect(ruleOf({ ...trade, conditions })).toEqual(rule)
  })

  test('volume 0 is a price update, whatever its conditions say', () => {
    expect(ruleOf({ ...trade, volume: 0, conditions: null })).toEqual(lastOnly)
    expect(ruleOf({ ...trade, volume: 0, conditions: ['12'] })).toEqual(lastOnly)
  })
})

describe('elsewhere every trade is regular', () => {
  test.each(['BINANCE:BTCUSDT', 'OANDA:EUR_USD', 'IC MARKETS:1'])('%s', (symbol) => {
    for (const code of ['12', '16', '20', '25', '30']) {
      expect(ruleOf({ ...trade, symbol, conditions: [code] })).toEqual(regular)
    }
  })
  test('but for volume 0, which is a price update everywhere', () => {
    expect(ruleOf({ symbol: 'OANDA:EUR_USD', volume: 0, conditions: null })).toEqual(lastOnly)
  })
})
