import { describe, expect, test } from 'vitest'
import { bar } from '../testing/fixture.js'
import { LatestMarket } from './latest-market.js'

const price = (symbol: string, value: number, time: number) => ({ symbol, price: value, volume: 1, time })

describe('the latest price', () => {
  test('is that of the latest time; of equal times, that which came last', () => {
    const market = new LatestMarket()
    market.price(price('A', 1, 10))
    market.price(price('A', 2, 9))
    expect(market.prices(['A'])[0]?.value.price).toBe(1)
    market.price(price('A', 3, 10))
    expect(market.prices(['A'])[0]?.value.price).toBe(3)
  })

  test('from elsewhere never replaces one as new from the topic', () => {
    const market = new LatestMarket()
    market.price(price('A', 1, 10))
    market.seedPrice(price('A', 2, 10))
    market.seedPrice(price('A', 2, 9))
    expect(market.prices(['A'])[0]?.value.price).toBe(1)
    market.seedPrice(price('A', 2, 11))
    expect(market.prices(['A'])[0]?.value.price).toBe(2)
  })
})

describe('the latest bar', () => {
  test('of an interval is the one that starts last, as last told', () => {
    const market = new LatestMarket()
    market.bar(bar({ start: 60_000, trades: 1 }))
    market.bar(bar({ start: 60_000, trades: 2 }))
    market.bar(bar({ start: 0, closed: true, revision: 1 }))
    market.bar(bar({ interval: '1h', start: 0 }))
    expect(market.bars('1m', ['AAPL'])[0]?.value).toMatchObject({ start: 60_000, trades: 2 })
    expect(market.bars('1h', ['*'])).toHaveLength(1)
    expect(market.bars('1d', ['*', 'AAPL'])).toEqual([])
  })

  test('a correction of an older bar reaches subscribers though it is not the latest', () => {
    const market = new LatestMarket()
    market.bar(bar({ start: 60_000 }))
    market.bar(bar({ start: 0, closed: true, revision: 1 }))
    expect([...market.takeUpdate()!.bars.values()].map(({ value }) => value.start)).toEqual([60_000, 0])
  })

  test('from elsewhere never replaces a newer word of the topic', () => {
    const market = new LatestMarket()
    market.bar(bar({ trades: 5 }))
    market.seedBar(bar({ trades: 4 }))
    expect(market.bars('1m', ['AAPL'])[0]?.value.trades).toBe(5)
    market.seedBar(bar({ trades: 6 }))
    expect(market.bars('1m', ['AAPL'])[0]?.value.trades).toBe(6)
    market.bar(bar({ trades: 6, closed: true }))
    market.seedBar(bar({ trades: 7 }))
    expect(market.bars('1m', ['AAPL'])[0]?.value.closed).toBe(true)
  })
})

test('memory is bounded by symbols: beyond the bound changes still pass, but are not kept', () => {
  const market = new LatestMarket({ maxSymbols: 2 })
  for (const symbol of ['A', 'B', 'C', 'D']) {
    market.price(price(symbol, 1, 1))
    market.bar(bar({ symbol }))
  }
  expect(market.symbolCount).toBe(2)
  expect(market.refused).toBe(4)
  const update = market.takeUpdate()
  expect([...update!.prices.keys()]).toEqual(['A', 'B', 'C', 'D'])
  expect(market.takeUpdate()).toBeUndefined()
})
