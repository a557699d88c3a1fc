import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { topicNames } from '@candlewick/schemas/topics'
import { createLogger } from '@candlewick/service/logger'
import type { KafkaStreamsState } from '@candlewick/streams'
import { TopologyTestDriver } from '@candlewick/streams/testing/topology-test-driver'
import { buildApp, type AppOptions } from './app.js'
import { tradeAt } from './testing/trades.js'
import { barWindows, marketTopology } from './topology.js'

const topics = topicNames()
const windows = barWindows('UTC')

async function appOf(state: KafkaStreamsState, token = '') {
  const topology = marketTopology(topics, windows)
  const driver = new TopologyTestDriver(topology)
  driver.pipe(topics.trades, { key: 'AAPL', value: tradeAt(0) })
  await driver.commit()
  const streams: AppOptions['streams'] = {
    state,
    applicationId: 'candlewick',
    instanceId: 'a',
    topology,
    assignment: undefined,
    partitionCount: () => 1,
    tasks: () => [],
    served: () => [
      { view: driver.view(), source: () => ({ instance: 'a', role: 'active', staleMs: 0, generation: 3 }) },
    ],
  }
  return buildApp({
    streams,
    windows,
    registry: new Registry(),
    token,
    log: createLogger('test', 'silent'),
  })
}

test('a query is answered with its result and who answered', async () => {
  const app = await appOf('RUNNING')
  const answer = await app.inject('/queries/average?key=AAPL')
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({
    result: { symbol: 'AAPL', count: 1, mean: 100 },
    source: { instance: 'a', role: 'active', staleMs: 0, generation: 3 },
  })
})

test('a wrong parameter is 400 with the reason, an unknown symbol 404', async () => {
  const app = await appOf('RUNNING')
  const wrong = await app.inject('/queries/average?key=AAPL&window=7')
  expect([wrong.statusCode, wrong.json<{ message: string }>().message]).toEqual([
    400,
    'window: must be a multiple of 5000 ms up to 86400000, not 7',
  ])
  expect((await app.inject('/queries/symbol?key=NOPE')).statusCode).toBe(404)
})

test('ready means RUNNING, alive means anything but ERROR', async () => {
  const codes = async (state: KafkaStreamsState) => {
    const app = await appOf(state)
    return [(await app.inject('/readyz')).statusCode, (await app.inject('/healthz')).statusCode]
  }
  expect(await codes('RUNNING')).toEqual([200, 200])
  expect(await codes('RESTORING')).toEqual([503, 200])
  expect(await codes('ERROR')).toEqual([503, 503])
})

test('with a token, queries and tasks are for who has it; health and metrics are for everybody', async () => {
  const app = await appOf('RUNNING', 'secret')
  for (const url of ['/queries/symbols', '/tasks', '/routing']) {
    expect((await app.inject(url)).statusCode).toBe(401)
    expect((await app.inject({ url, headers: { authorization: 'Bearer secret' } })).statusCode).toBe(200)
  }
  for (const url of ['/healthz', '/readyz', '/metrics']) expect((await app.inject(url)).statusCode).toBe(200)
})
