import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import cassandra, { type types } from 'cassandra-driver'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { CassandraSink } from '@candlewick/cassandra/sink'
import { migratedKeyspace, recordingLog, type TestKeyspace } from '@candlewick/cassandra/testing/keyspace'
import { publishAverage } from '@candlewick/processor/market/average'
import { averages } from '@candlewick/processor/stores'
import { barWindows, marketTopology } from '@candlewick/processor/topology'
import { prepareCodecs, tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import { KafkaStreams } from '@candlewick/streams'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { faultsOf, framesOf, interpolate, type Variables } from './grafana-cassandra-plugin.js'
import { queriesOf, variableQueriesOf } from './grafana-dashboards.js'
import { until } from './wait.js'

/**
 * Every query of the Market dashboard, by the rules of its data source, against a real Cassandra that the real topology and
 * the real sink have filled. Grafana and the plugin themselves take no part.
 */

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const SYMBOLS = ['AAPL', "O'NEIL", 'BINANCE:BTCUSDT']
/** Midnight between two months, the last one that is over a day ago. */
const BORDER_MS = lastMonthBorder(Date.now() - DAY_MS)
const AROUND = { fromMs: BORDER_MS - 15 * MINUTE_MS, toMs: BORDER_MS + 15 * MINUTE_MS }
/** How far apart in time the trades are, which all symbols make at once. */
const STEP_MS = 30_000

interface Sent {
  symbol: string
  price: number
  volume: number
  timestamp: number
}
/** Half an hour with the border in its middle, and single trades of AAPL long before. */
const ROUNDS: Sent[][] = [
  [{ symbol: 'AAPL', price: 90, volume: 7, timestamp: BORDER_MS - 61 * DAY_MS }],
  [{ symbol: 'AAPL', price: 95, volume: 5, timestamp: BORDER_MS - 6 * DAY_MS }],
  ...Array.from({ length: (AROUND.toMs - AROUND.fromMs) / STEP_MS }, (_, round) =>
    SYMBOLS.map((symbol, index) => {
      const timestamp = AROUND.fromMs + round * STEP_MS
      return { symbol, price: 100 * (index + 1) + (round % 17), volume: 1 + (round % 5), timestamp }
    }),
  ),
]
const TRADES = ROUNDS.flat()

const log = recordingLog()
const closers: (() => Promise<unknown>)[] = []
let keyspace: TestKeyspace
/** As the plugin has it: with the keyspace of the data source. */
let client: cassandra.Client

beforeAll(async () => {
  await prepareCodecs()
  keyspace = await migratedKeyspace(inject('cassandra'))
  closers.push(() => keyspace.drop())
  const { contactPoints, localDataCenter } = keyspace.config
  client = new cassandra.Client({ contactPoints: [...contactPoints], localDataCenter, keyspace: keyspace.keyspace })
  closers.push(() => client.shutdown())
  await fill()
}, 120_000)

afterAll(async () => {
  for (const close of closers.reverse()) await close()
})

async function fill(): Promise<void> {
  const prefix = `grafana-${randomBytes(4).toString('hex')}-`
  const topics = topicNames(prefix)
  const kafkaConfig = { brokers: [inject('kafkaBrokers')], clientId: 'grafana-test' }
  const kafka = new KafkaClient(kafkaConfig, log)
  await kafka.connect()
  closers.push(() => kafka.close())
  const admin = new KafkaAdmin(kafka)
  await admin.createTopics(topicSpecs({ partitions: 3, replicationFactor: 1, prefix }))
  closers.push(() => admin.deleteTopics(Object.values(topics)))
  await kafka.watchTopics(Object.values(topics))

  const stateDir = await mkdtemp(join(tmpdir(), 'candlewick-grafana-'))
  closers.push(() => rm(stateDir, { recursive: true, force: true }))
  const streams = new KafkaStreams(marketTopology(topics, barWindows('UTC')), {
    applicationId: `${prefix}app`,
    kafka: kafkaConfig,
    stateDir,
    log,
  })
  await streams.start()
  closers.push(() => streams.close())
  const sink = new CassandraSink(
    { kafka: kafkaConfig, cassandra: keyspace.config, groupId: `${prefix}sink`, topicPrefix: prefix },
    { log, registry: new Registry() },
  )
  void sink.run()
  closers.push(() => sink.close())

  async function counted(): Promise<number> {
    const all = await Promise.all(streams.served().map(({ view }) => view.keyValue(averages).all()))
    return all.flat().reduce((sum, [symbol, state]) => sum + publishAverage(state, symbol).count, 0)
  }

  const producer = new IdempotentProducer(kafka, { maxBufferedBytes: 4_000_000 })
  await producer.start()
  let sent = 0
  for (const round of ROUNDS) {
    for (const trade of round) {
      const value = tradeCodec.encode({ ...trade, receivedAt: trade.timestamp + 20, source: 'test', conditions: null })
      if (!producer.send(topics.trades, null, Buffer.from(trade.symbol), value, Date.now())) throw new Error('too much')
    }
    await producer.flush()
    sent += round.length
    // Averages are announced once a commit: what is sent at once gives one row, however many 5 seconds it spans.
    const committed = async () => ((await counted()) === sent ? true : undefined)
    await until('the round to be committed', committed, { everyMs: 5 })
  }
  await producer.close()

  await until('every trade to be folded and stored', async () => {
    const { rows } = await client.execute('SELECT count FROM latest WHERE bucket = 0')
    const folded = rows.reduce((sum, row) => sum + Number(row.get('count')), 0)
    const bars = await client.execute("SELECT trades FROM bars WHERE interval = '1m' ALLOW FILTERING")
    const inBars = bars.rows.reduce((sum, row) => sum + Number(row.get('trades')), 0)
    return folded === TRADES.length && inBars === TRADES.length ? true : undefined
  })
}

function lastMonthBorder(beforeMs: number): number {
  const date = new Date(beforeMs)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
}

const ALL = { symbol: SYMBOLS, every_symbol: SYMBOLS, interval: '1m' }

function ask(target: Record<string, unknown>, variables: Variables = ALL, range = AROUND): Promise<types.ResultSet> {
  expect(target).toMatchObject({ rawQuery: true, queryType: 'query' })
  return client.execute(interpolate(String(target['target']), variables, range), [], { prepare: false })
}

function query(panel: string): Record<string, unknown> {
  const found = queriesOf('market').find((one) => one.panel === panel)
  if (found === undefined) throw new Error(`the dashboard has no panel '${panel}'`)
  return found.target
}

function timesOf(columns: types.ResultSet['columns'], rows: types.Row[]): number[] {
  const { name } = columns.find(({ type }) => type.code === cassandra.types.dataTypes.timestamp)!
  return rows.map((row) => (row.get(name) as Date).getTime())
}

describe.each(queriesOf('market'))('the panel $panel', ({ panel, panelType, target }) => {
  it(`gets rows the plugin takes, for several symbols (${String(target['refId'])})`, async () => {
    const result = await ask(target)
    expect(faultsOf(result, { type: panelType })).toEqual([])
    expect([...framesOf(result.rows).keys()].sort()).toEqual([...SYMBOLS].sort())
  })

  it(`gets rows for one symbol alone, also one with a quote in its name (${String(target['refId'])})`, async () => {
    const result = await ask(target, { ...ALL, symbol: "O'NEIL", every_symbol: "O'NEIL" })
    expect([...framesOf(result.rows).keys()]).toEqual(["O'NEIL"])
  })

  it.skipIf(panel === 'Last price')(`gets the rows of both months (${String(target['refId'])})`, async () => {
    const { columns, rows } = await ask(target)
    for (const [symbol, own] of framesOf(rows)) {
      const times = timesOf(columns, own)
      expect(times.filter((time) => time < BORDER_MS).length, symbol).toBeGreaterThan(10)
      expect(times.filter((time) => time >= BORDER_MS).length, symbol).toBeGreaterThan(10)
      expect(times, 'in order: the lines of a panel do not go back').toEqual(times.toSorted((a, b) => a - b))
    }
  })

  it.skipIf(panel === 'Last price')(`gets nothing from outside of the range (${String(target['refId'])})`, async () => {
    const range = { fromMs: BORDER_MS, toMs: BORDER_MS + 5 * MINUTE_MS }
    const { columns, rows } = await ask(target, ALL, range)
    const times = timesOf(columns, rows)
    expect(times.length).toBeGreaterThan(0)
    expect(times.every((time) => time >= range.fromMs && time <= range.toMs)).toBe(true)
  })
})

it.each(variableQueriesOf('market'))('the variable $name lists every symbol as a text', async ({ text }) => {
  const result = await client.execute(interpolate(text, {}, AROUND), [], { prepare: false })
  expect(result.columns.map(({ type }) => type.code)).toEqual([cassandra.types.dataTypes.varchar])
  expect(result.rows.map((row) => String(row.get(0))).sort()).toEqual([...SYMBOLS].sort())
})

it('volume and trades per second add up to the trades of the range', async () => {
  const inRange = TRADES.filter(({ timestamp }) => timestamp >= AROUND.fromMs)
  const sum = async (panel: string, column: string) =>
    (await ask(query(panel))).rows.reduce((total, row) => total + Number(row.get(column)), 0)
  expect(await sum('Volume', 'volume')).toBe(inRange.reduce((total, { volume }) => total + volume, 0))
  expect(await sum('Trades per second', 'trades_per_second')).toBeCloseTo(inRange.length / 60, 9)
})

it('prices and averages of a week are complete', async () => {
  const range = { fromMs: BORDER_MS - 6.5 * DAY_MS, toMs: BORDER_MS + 0.5 * DAY_MS }
  const { rows } = await ask(query('Price'), { ...ALL, symbol: 'AAPL' }, range)
  expect(rows.length).toBe(1 + (AROUND.toMs - AROUND.fromMs) / STEP_MS)
  expect(rows[0]!.get('last')).toBe(95)
})

it('candles of three months are complete', async () => {
  const range = { fromMs: BORDER_MS - 62 * DAY_MS, toMs: BORDER_MS + 28 * DAY_MS }
  const { rows } = await ask(query('Volume'), { ...ALL, symbol: 'AAPL' }, range)
  const volume = rows.reduce((total, row) => total + Number(row.get('volume')), 0)
  expect(volume).toBe(TRADES.filter(({ symbol }) => symbol === 'AAPL').reduce((total, one) => total + one.volume, 0))
})

it('longer candles are there when they are closed', async () => {
  await until('a candle of 5 minutes', async () => {
    const { rows } = await ask(query('$symbol, $interval'), { ...ALL, interval: '5m' })
    return rows.length >= 12 ? true : undefined
  })
})
