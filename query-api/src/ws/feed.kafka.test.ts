import { barCodec, tradeCodec } from '@candlewick/schemas/codecs'
import { createLogger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { RecordAccumulator } from '@candlewick/streams/kafka/records/encode'
import { TransactionalProducer } from '@candlewick/streams/kafka/transactional-producer'
import { randomUUID } from 'node:crypto'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest'
import { createMetrics } from '../metrics.js'
import { bar } from '../testing/fixture.js'
import { Feed } from './feed.js'
import { LatestMarket } from './latest-market.js'

const log = createLogger('query-api-test', 'silent')
const prefix = `api-feed-${randomUUID().slice(0, 8)}-`
const topics = { trades: `${prefix}trades`, bars: `${prefix}bars` }
const partitions = 2
let client: KafkaClient
let admin: KafkaAdmin
let producer: TransactionalProducer
const feeds: Feed[] = []

beforeAll(async () => {
  client = new KafkaClient({ brokers: inject('kafkaBrokers').split(','), clientId: 'query-api-test' }, log)
  await client.connect()
  admin = new KafkaAdmin(client)
  await admin.createTopics([
    { name: topics.trades, partitions },
    { name: topics.bars, partitions },
  ])
  producer = new TransactionalProducer(client, { transactionalId: `${prefix}producer`, transactionTimeoutMs: 60_000 })
  await producer.init()
})
afterEach(async () => {
  await Promise.all(feeds.splice(0).map((feed) => feed.close()))
})
afterAll(async () => {
  await admin.deleteTopics(Object.values(topics))
  await client.close()
})

async function follow() {
  const market = new LatestMarket()
  const registry = new Registry()
  const feed = new Feed(client, { topics, market, metrics: createMetrics(registry), log })
  feeds.push(feed)
  await feed.start()
  const unreadable = async () =>
    (await registry.getSingleMetric('candlewick_api_feed_undecodable_total')?.get())?.values[0]?.value
  return { feed, market, unreadable }
}

async function write(
  outcome: 'commit' | 'abort',
  ...records: readonly (readonly [topic: string, partition: number, value: Buffer | null])[]
): Promise<void> {
  const batch = new RecordAccumulator()
  for (const [topic, partition, value] of records) batch.append(topic, partition, Buffer.from('key'), value, Date.now())
  await producer.produce(batch)
  await producer.end(outcome)
  // The end of a transaction is decided at once, but its markers are written to the partitions a little later.
  await vi.waitUntil(() => isDecided([...new Set(records.map(([topic]) => topic))]), { timeout: 30_000, interval: 5 })
}

async function isDecided(names: readonly string[]): Promise<boolean> {
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const ends = (topic: string, isolation: 'read_committed' | 'read_uncommitted') =>
    admin.listOffsets(topic, all, 'latest', isolation)
  const decided = await Promise.all(
    names.map(async (name) => {
      const [committed, written] = [await ends(name, 'read_committed'), await ends(name, 'read_uncommitted')]
      return all.every((partition) => committed.get(partition) === written.get(partition))
    }),
  )
  return decided.every(Boolean)
}

const trade = (symbol: string, price: number, timestamp: number, conditions: string[] | null = null) =>
  tradeCodec.encode({ symbol, price, volume: 1, timestamp, receivedAt: timestamp, source: 'test', conditions })

test('a feed begins with what comes after its start, not with what was there', async () => {
  await write('commit', [topics.trades, 0, trade('OLD', 1, 1)])
  const { feed, market } = await follow()
  await write(
    'commit',
    [topics.trades, 0, trade('AAPL', 2, 2)],
    [topics.bars, 1, barCodec.encode(bar({ symbol: 'MSFT' }))],
  )
  await feed.caughtUp()
  expect(market.prices(['*']).map(({ value }) => value)).toEqual([{ symbol: 'AAPL', price: 2, volume: 1, time: 2 }])
  expect(market.bars('1m', ['*']).map(({ value }) => ({ ...value }))).toEqual([bar({ symbol: 'MSFT' })])
})

test('a bar that was taken back is never shown', async () => {
  const { feed, market } = await follow()
  await write('abort', [topics.bars, 0, barCodec.encode(bar({ close: 666 }))])
  await write('commit', [topics.bars, 0, barCodec.encode(bar({ close: 100 }))])
  await feed.caughtUp()
  await vi.waitUntil(() => market.bars('1m', ['AAPL'])[0] !== undefined)
  expect(market.bars('1m', ['AAPL'])[0]?.value.close).toBe(100)
  expect([...market.takeUpdate()!.bars.values()]).toHaveLength(1)
})

test('the last price follows the trade rules: an odd lot and a late trade do not move it', async () => {
  const { feed, market } = await follow()
  await write(
    'commit',
    [topics.trades, 0, trade('AAPL', 100, 10)],
    [topics.trades, 0, trade('AAPL', 101, 11, ['12'])],
    [topics.trades, 0, trade('AAPL', 102, 9)],
  )
  await feed.caughtUp()
  expect(market.prices(['AAPL'])[0]?.value.price).toBe(100)
})

test('what cannot be read is counted and passed over, and so is a tombstone', async () => {
  const { feed, market, unreadable } = await follow()
  await write(
    'commit',
    [topics.trades, 0, Buffer.from('not avro')],
    [topics.bars, 0, null],
    [topics.trades, 0, trade('AAPL', 1, 1)],
  )
  await feed.caughtUp()
  await vi.waitUntil(() => market.prices(['AAPL'])[0]?.value.price === 1)
  expect(await unreadable()).toBe(1)
})

test('a feed can be started before its topics are there', async () => {
  const late = { trades: `${prefix}late-trades`, bars: `${prefix}late-bars` }
  const market = new LatestMarket()
  const feed = new Feed(client, { topics: late, market, metrics: createMetrics(new Registry()), log })
  feeds.push(feed)
  const started = feed.start()
  expect(feed.isFollowing).toBe(false)
  await admin.createTopics(Object.values(late).map((name) => ({ name, partitions })))
  await started
  expect(feed.isFollowing).toBe(true)
  await write('commit', [late.trades, 1, trade('AAPL', 5, 5)])
  await feed.caughtUp()
  expect(market.prices(['AAPL'])[0]?.value.price).toBe(5)
  await admin.deleteTopics(Object.values(late))
})
