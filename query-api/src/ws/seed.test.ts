import { createLogger } from '@candlewick/service/logger'
import { expect, test } from 'vitest'
import { MemoryLiveState } from '../testing/fixture.js'
import { LatestMarket } from './latest-market.js'
import { keepSeeding, seedFromProcessors } from './seed.js'

const log = createLogger('query-api-test', 'silent')

test('snapshots begin with where the processors say every symbol stands', async () => {
  const live = new MemoryLiveState().know('AAPL', { last: 7, lastTime: 70 }).know('NEW', { last: null, minute: null })
  const market = new LatestMarket()
  expect(await seedFromProcessors(live, market)).toBeUndefined()
  expect(market.prices(['*']).map(({ value }) => value)).toEqual([{ symbol: 'AAPL', price: 7, volume: 0, time: 70 }])
  expect(market.bars('1m', ['*']).map(({ value }) => value.symbol)).toEqual(['AAPL'])
  expect(market.bars('1d', ['*']).map(({ value }) => value.symbol)).toEqual(['AAPL', 'NEW'])
})

test('what the topics have said meanwhile stays', async () => {
  const live = new MemoryLiveState().know('AAPL', { last: 7, lastTime: 70 })
  const market = new LatestMarket()
  market.price({ symbol: 'AAPL', price: 8, volume: 1, time: 80 })
  await seedFromProcessors(live, market)
  expect(market.prices(['AAPL'])[0]?.value.price).toBe(8)
})

test('it is asked again until every partition has answered', async () => {
  const live = new MemoryLiveState().know('AAPL')
  const answers = [() => (live.away = 'all'), () => (live.away = [3]), () => (live.away = [])]
  const ask = live.queryAll.bind(live)
  let asked = 0
  live.queryAll = async <T>() => {
    answers[asked++]?.()
    return ask<T>()
  }
  const market = new LatestMarket()
  await keepSeeding(live, market, { signal: new AbortController().signal, log, retryMs: 1 })
  expect(asked).toBe(3)
  expect(market.prices(['AAPL'])).toHaveLength(1)
})

test('it ends when it is called off', async () => {
  const live = new MemoryLiveState()
  live.away = 'all'
  const calledOff = new AbortController()
  const seeding = keepSeeding(live, new LatestMarket(), { signal: calledOff.signal, log })
  calledOff.abort()
  await seeding
})
