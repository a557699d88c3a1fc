import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { readDeadLetter } from '@candlewick/streams/kafka/dead-letter'
import { averageCodec, barCodec, tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { readHeaders, visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'
import { seqOf } from './buckets.js'
import { HistoryReader } from './reader.js'
import { cassandraWrites } from './sink/cassandra-writes.js'
import { CassandraSink, type SinkConfig, type SinkOptions } from './sink.js'
import { migratedKeyspace, recordingLog, type TestKeyspace } from './testing/keyspace.js'
import { proxyTo, type Proxy } from './testing/proxy.js'
import { average, bar, FRIDAY, trade } from './testing/samples.js'

const PARTITIONS = 3
/** The machine may be busy with other tests. */
const eventually = <T>(ask: () => T) => expect.poll(ask, { timeout: 30_000, interval: 100 })
const log = recordingLog()
let target: TestKeyspace
let reader: HistoryReader
let kafka: KafkaClient
let admin: KafkaAdmin
let producer: IdempotentProducer
let config: SinkConfig
let sinks: CassandraSink[] = []
let proxies: Proxy[] = []

const kafkaConfig = () => ({ brokers: [inject('kafkaBrokers')], clientId: 'cassandra-test' })
const everything = { fromMs: FRIDAY - 1_000_000_000, toMs: FRIDAY + 1_000_000_000, limit: 100_000 }

beforeAll(async () => {
  target = await migratedKeyspace(inject('cassandra'))
  reader = new HistoryReader(target.config)
  kafka = new KafkaClient(kafkaConfig(), log)
  await Promise.all([reader.connect(), kafka.connect()])
  admin = new KafkaAdmin(kafka)
  producer = new IdempotentProducer(kafka, { maxBufferedBytes: 16_000_000 })
  await producer.start()
})

beforeEach(async () => {
  const topicPrefix = `cassandra-${randomBytes(4).toString('hex')}-`
  await admin.createTopics(topicSpecs({ partitions: PARTITIONS, replicationFactor: 1, prefix: topicPrefix }))
  await kafka.watchTopics(Object.values(topicNames(topicPrefix)))
  config = { kafka: kafkaConfig(), cassandra: target.config, groupId: `${topicPrefix}sink`, topicPrefix }
})

afterEach(async () => {
  await Promise.all(sinks.map((sink) => sink.close()))
  await Promise.all(proxies.map((proxy) => proxy.close()))
  sinks = []
  proxies = []
  await admin.deleteGroup(config.groupId).catch(() => undefined)
  await admin.deleteTopics(Object.values(names()))
  for (const table of ['trades', 'bars', 'running_averages', 'latest']) {
    await target.client.execute(`TRUNCATE ${target.keyspace}.${table}`, [], { prepare: false })
  }
})

afterAll(async () => {
  await producer.close()
  await kafka.close()
  await reader.close()
  await target.drop()
})

function names() {
  return topicNames(config.topicPrefix)
}

function start(changes: Partial<SinkConfig> = {}, options: Partial<SinkOptions> = {}) {
  const registry = new Registry()
  const sink = new CassandraSink({ ...config, ...changes }, { log, registry, ...options })
  sinks.push(sink)
  return { sink, registry, ended: sink.run() }
}

function put(topic: string, symbol: string, value: Buffer): void {
  if (!producer.send(topic, null, Buffer.from(symbol), value, Date.now()))
    throw new Error('the test sends too much at once')
}

/** Trades of five symbols, one a second; and for each an average and a minute that grows. */
async function sendDay(count: number, first = 0): Promise<void> {
  for (let index = first; index < count; index += 1) {
    const symbol = `S${index % 5}`
    const timestamp = FRIDAY + index * 1_000
    const start = Math.floor(timestamp / 60_000) * 60_000
    put(names().trades, symbol, tradeCodec.encode(trade({ symbol, timestamp, price: 100 + index })))
    put(names().averages, symbol, averageCodec.encode(average({ symbol, asOf: timestamp, count: index })))
    put(names().bars, symbol, barCodec.encode(bar({ symbol, start, trades: index, closed: false })))
  }
  await producer.flush()
}

async function rowsOf(symbol: string) {
  const [trades, averages, bars] = await Promise.all([
    reader.trades(symbol, everything),
    reader.averages(symbol, everything),
    reader.bars(symbol, '1m', everything),
  ])
  return { trades, averages, bars }
}

/** What sendDay(count) leaves behind for a symbol, but for seq. */
function expected(symbol: number, count: number) {
  const indexes = Array.from({ length: count }, (_, index) => index).filter((index) => index % 5 === symbol)
  const last = (key: (timestamp: number) => number) => [
    ...new Map(indexes.map((index) => [key(FRIDAY + index * 1_000), index])).values(),
  ]
  return {
    prices: indexes.map((index) => 100 + index),
    counts: last((timestamp) => Math.floor(timestamp / 5_000)),
    bars: last((timestamp) => Math.floor(timestamp / 60_000)),
  }
}

async function seen(symbol: number) {
  const { trades, averages, bars } = await rowsOf(`S${symbol}`)
  return {
    prices: trades.map(({ price }) => price),
    counts: averages.map(({ count }) => count),
    bars: bars.map(({ trades }) => trades),
  }
}

async function expectAllRows(count: number): Promise<void> {
  for (const symbol of [0, 1, 2, 3, 4]) {
    await eventually(() => seen(symbol)).toEqual(expected(symbol, count))
  }
}

test('what is on the topics is in the tables, and the group has committed all of it', async () => {
  await sendDay(500)
  const { sink, registry } = start()
  await expectAllRows(500)
  const latest = await target.client.execute(`SELECT symbol, count FROM ${target.keyspace}.latest WHERE bucket = 0`)
  expect(latest.rows.map((row) => [row.get('symbol'), Number(row.get('count'))])).toEqual(
    [0, 1, 2, 3, 4].map((symbol) => [`S${symbol}`, 495 + symbol]),
  )
  const partitions = [0, 1, 2]
  const topics = [names().trades, names().averages, names().bars]
  const ends = await Promise.all(
    topics.map((topic) => admin.listOffsets(topic, partitions, 'latest', 'read_committed')),
  )
  await eventually(async () => {
    const wanted = new Map(topics.map((topic) => [topic, partitions]))
    const committed = await admin.committedOffsets(config.groupId, wanted, { requireStable: true })
    return topics.map((topic) =>
      committed.filter((offset) => offset.topic === topic).reduce((sum, { offset }) => sum + Math.max(offset, 0), 0),
    )
  }).toEqual(ends.map((end) => [...end.values()].reduce((sum, offset) => sum + offset, 0)))
  expect(sink.health).toEqual({ kind: 'writing' })
  await eventually(() => registry.metrics()).toMatch(/candlewick_sink_lag_records\{topic="trades"\} 0/)
  expect(await registry.metrics()).toMatch(/candlewick_sink_rows_total\{table="trades"\} 500/)
})

test('seq is where the trade lies on the topic', async () => {
  put(names().trades, 'AAPL', tradeCodec.encode(trade()))
  put(names().trades, 'AAPL', tradeCodec.encode(trade()))
  await producer.flush()
  start()
  await eventually(async () => (await reader.trades('AAPL', everything)).length).toBe(2)
  const ends = await admin.listOffsets(names().trades, [0, 1, 2], 'latest', 'read_committed')
  const partition = [...ends].find(([, end]) => end === 2)?.[0]
  expect((await reader.trades('AAPL', everything)).map(({ seq }) => seq)).toEqual([
    String(seqOf(partition!, 0)),
    String(seqOf(partition!, 1)),
  ])
})

test('a Cassandra that fails for a while costs lag, and every row is there in the end', async () => {
  const write = cassandraWrites(() => Promise.resolve(target.client), target.keyspace)
  let failures = 0
  const { sink } = start(
    {},
    {
      send: async (each) => {
        if (failures < 60) {
          failures += 1
          // Half of the failures come after the rows are written: the sink cannot know, and writes them again.
          if (failures % 2 === 0) await write(each)
          throw Object.assign(new Error('write timeout'), { isSocketError: true })
        }
        await write(each)
      },
    },
  )
  await sendDay(500)
  await expectAllRows(500)
  // Rows whose write was said to fail may be there already: what is left is to write them again.
  await eventually(() => sink.health.kind).toBe('writing')
  expect(failures).toBe(60)
})

test.each(['cut', 'freeze'] as const)('a connection that breaks (%s) under load loses nothing', async (way) => {
  const proxy = await proxyTo(inject('cassandra'))
  proxies.push(proxy)
  const cassandra = { ...target.config, contactPoints: [`127.0.0.1:${proxy.port}`] }
  const { sink } = start({ cassandra })
  await sendDay(100)
  await expectAllRows(100)
  proxy[way]()
  await sendDay(1_000, 100)
  await eventually(() => sink.health.kind).toBe('waiting')
  proxy.restore()
  await expectAllRows(1_000)
  await eventually(() => sink.health.kind).toBe('writing')
})

test('a sink that starts before Cassandra waits for it, closable at any time', async () => {
  const proxy = await proxyTo(inject('cassandra'))
  proxies.push(proxy)
  proxy.cut()
  const cassandra = { ...target.config, contactPoints: [`127.0.0.1:${proxy.port}`] }
  await sendDay(50)
  const closed = start({ cassandra })
  const { sink } = start({ cassandra, groupId: `${config.groupId}-2` })
  await eventually(() => log.lines).toContain('Cassandra cannot be reached: waiting for it')
  expect(sink.health).toEqual({ kind: 'starting' })
  await closed.sink.close()
  await closed.ended
  proxy.restore()
  await expectAllRows(50)
  await sink.close()
  await admin.deleteGroup(`${config.groupId}-2`)
})

test('a replay of everything gives the same rows', async () => {
  await sendDay(300)
  start()
  await expectAllRows(300)
  const before = await Promise.all(['S0', 'S3'].map(rowsOf))
  const { registry } = start({ groupId: `${config.groupId}-replay` })
  await eventually(() => registry.metrics()).toMatch(/rows_total\{table="trades"\} 300/)
  await eventually(() => registry.metrics()).toMatch(/rows_total\{table="latest"\} \d+/)
  expect(await Promise.all(['S0', 'S3'].map(rowsOf))).toEqual(before)
  await sinks.at(-1)!.close()
  await admin.deleteGroup(`${config.groupId}-replay`)
})

test('what no table can hold goes to the dead-letter topic as it came, and the rest goes on', async () => {
  const garbage = Buffer.from('not avro')
  const tooFar = tradeCodec.encode(trade({ timestamp: 9e15 }))
  put(names().trades, 'AAPL', tradeCodec.encode(trade({ price: 1 })))
  put(names().trades, 'AAPL', garbage)
  put(names().trades, 'AAPL', tooFar)
  put(names().trades, 'AAPL', tradeCodec.encode(trade({ price: 2 })))
  await producer.flush()
  const { registry } = start()
  await eventually(async () => (await reader.trades('AAPL', everything)).map(({ price }) => price)).toEqual([1, 2])

  const letters: { key: string; value: Buffer; about: unknown }[] = []
  const dead = new TopicReader(kafka, {
    topics: [names().deadLetters],
    startAt: 'earliest',
    isolation: 'read_committed',
    log,
    onChunk(chunk) {
      visitRecords(
        chunk,
        'read_committed',
        (_offset, _time, bytes, keyStart, keyEnd, valueStart, valueEnd, headers) => {
          const about = readDeadLetter(readHeaders(bytes, headers))
          letters.push({
            key: bytes.toString('utf8', keyStart, keyEnd),
            value: Buffer.from(bytes.subarray(valueStart, valueEnd)),
            about: { code: about?.exception, topic: about?.record?.topic, offset: about?.record?.offset },
          })
        },
      )
    },
  })
  await dead.start()
  try {
    await eventually(() => letters).toEqual([
      { key: 'AAPL', value: garbage, about: { code: 'NOT_AVRO', topic: names().trades, offset: 1 } },
      { key: 'AAPL', value: tooFar, about: { code: 'INVALID_TRADE', topic: names().trades, offset: 2 } },
    ])
  } finally {
    await dead.close()
  }
  expect(await registry.metrics()).toMatch(/dead_letters_total\{topic="trades"\} 2/)
})
