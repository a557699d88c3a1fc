import fc from 'fast-check'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import type { Average, Bar, Trade } from '@candlewick/schemas/types'
import { AVERAGES_SLOT_MS, DAY_MS, seqOf } from './buckets.js'
import { CassandraUnavailable, HistoryReader, RangeTooWide } from './reader.js'
import { cassandraWrites } from './sink/cassandra-writes.js'
import type { Write } from './sink/plan.js'
import { averagesRow, barRow, latestRow, tradeRow, type Row, type TableName } from './sink/tables.js'
import { migratedKeyspace, recordingLog, type TestKeyspace } from './testing/keyspace.js'
import { proxyTo } from './testing/proxy.js'
import { average, bar, FRIDAY, trade } from './testing/samples.js'

let target: TestKeyspace
let reader: HistoryReader
let send: (write: Write) => Promise<void>

beforeAll(async () => {
  target = await migratedKeyspace(inject('cassandra'))
  send = cassandraWrites(() => Promise.resolve(target.client), target.keyspace)
  // Patient: the machine may be busy with other tests.
  reader = new HistoryReader(target.config, { timeoutMs: 20_000 })
  await reader.connect()
})

beforeEach(async () => {
  for (const table of ['trades', 'bars', 'running_averages', 'latest']) {
    await target.client.execute(`TRUNCATE ${target.keyspace}.${table}`, [], { prepare: false })
  }
})

afterAll(async () => {
  await reader.close()
  await target.drop()
})

/** A broker time long after the rows' own times. */
const BROKER = Date.UTC(2026, 10, 21)

function writeOf(table: TableName, ...rows: Row[]): Write {
  const source = {
    offset: 0,
    brokerTimeMs: 0,
    bytes: Buffer.alloc(0),
    keyStart: 0,
    keyEnd: -1,
    valueStart: 0,
    valueEnd: -1,
  }
  return { table, rows: rows.map((row) => ({ ...row, source })) }
}

const writeTrade = (value: Trade, offset: number, partition = 0) =>
  send(writeOf('trades', tradeRow(value, { partition, offset, brokerTimeMs: BROKER })))
const writeBar = (value: Bar, brokerTimeMs = BROKER) => send(writeOf('bars', barRow(value, brokerTimeMs)))
const writeAverage = (value: Average, brokerTimeMs = BROKER) =>
  send(writeOf('running_averages', averagesRow(value, brokerTimeMs)))
const everything = { fromMs: FRIDAY - 30 * DAY_MS, toMs: FRIDAY + 30 * DAY_MS, limit: 10_000 }

test('a trade, a bar and an average come back as they were written', async () => {
  await writeTrade(trade({ conditions: ['1', '12'] }), 7, 11)
  await writeTrade(trade({ conditions: [], price: 1e-9, volume: 0 }), 8, 11)
  await writeBar(bar())
  await writeAverage(average())
  expect(await reader.trades('AAPL', everything)).toEqual([
    { timestamp: FRIDAY, seq: String(seqOf(11, 7)), price: 271.49, volume: 100, conditions: ['1', '12'] },
    { timestamp: FRIDAY, seq: String(seqOf(11, 8)), price: 1e-9, volume: 0, conditions: [] },
  ])
  expect(await reader.bars('AAPL', '1m', everything)).toEqual([bar()])
  expect(await reader.averages('AAPL', everything)).toEqual([average()])
})

test('absent values are null again', async () => {
  const empty = average({
    count: 0,
    mean: null,
    vwap: null,
    priceVolumeMean: null,
    min: null,
    max: null,
    first: null,
    firstTime: null,
  })
  await writeTrade(trade(), 1)
  await writeBar(bar({ vwap: null, volume: 0 }))
  await writeAverage(empty)
  expect((await reader.trades('AAPL', everything))[0]?.conditions).toBeNull()
  expect((await reader.bars('AAPL', '1m', everything))[0]?.vwap).toBeNull()
  expect(await reader.averages('AAPL', everything)).toEqual([empty])
})

test('doubles and whole numbers keep every bit', async () => {
  const numbers = fc.sample(fc.tuple(fc.double({ noNaN: true }), fc.maxSafeNat()), 200)
  await Promise.all(
    numbers.map(([value, count], index) =>
      writeBar(bar({ start: FRIDAY + index * 60_000, open: value, high: -value, notional: value / 3, trades: count })),
    ),
  )
  const read = await reader.bars('AAPL', '1m', everything)
  expect(read).toHaveLength(200)
  read.forEach((got, index) => {
    const [value, count] = numbers[index]!
    expect([got.open, got.high, got.notional].map(bits)).toEqual([value, -value, value / 3].map(bits))
    expect(got.trades).toBe(count)
  })
})

function bits(value: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

test('an older record that arrives later never hides a newer one', async () => {
  await writeBar(bar({ close: 2, revision: 1 }), BROKER + 1)
  await writeBar(bar({ close: 1, revision: 0 }), BROKER)
  expect(await reader.bars('AAPL', '1m', everything)).toEqual([bar({ close: 2, revision: 1 })])

  await writeAverage(average({ count: 5 }), BROKER + 1)
  await writeAverage(average({ count: 4 }), BROKER)
  expect((await reader.averages('AAPL', everything)).map(({ count }) => count)).toEqual([5])

  await send(writeOf('latest', latestRow(average({ count: 5 }), BROKER + 1)))
  await send(writeOf('latest', latestRow(average({ count: 4 }), BROKER)))
  const { rows } = await target.client.execute(`SELECT count FROM ${target.keyspace}.latest WHERE bucket = 0`)
  expect(rows.map((row) => Number(row.get('count')))).toEqual([5])
})

test('of two announcements of a bar in one broker millisecond the later one wins whole, in either order', async () => {
  const open = bar({ close: 9, volume: 90, trades: 9, closed: false })
  const closed = bar({ close: 8, volume: 95, trades: 10 })
  const corrected = bar({ close: 7, volume: 80, trades: 8, revision: 1 })
  for (const order of [
    [open, closed, corrected],
    [corrected, closed, open],
    [closed, corrected, open],
  ]) {
    await target.client.execute(`TRUNCATE ${target.keyspace}.bars`, [], { prepare: false })
    for (const each of order) await writeBar(each)
    expect(await reader.bars('AAPL', '1m', everything)).toEqual([corrected])
  }
})

test('trades of one millisecond are all kept, in the order of the topic', async () => {
  for (const offset of [2, 0, 1]) await writeTrade(trade({ price: 100 + offset }), offset)
  await writeTrade(trade({ price: 101 }), 1)
  expect((await reader.trades('AAPL', everything)).map(({ price }) => price)).toEqual([100, 101, 102])
  const newest = await reader.trades('AAPL', { toMs: FRIDAY, limit: 2 })
  expect(newest.map(({ price }) => price)).toEqual([101, 102])
})

test('ranges cross days and months without losing or doubling their borders', async () => {
  const midnight = Date.UTC(2026, 10, 1)
  const times = [midnight - DAY_MS, midnight - 1, midnight, midnight + DAY_MS - 1, midnight + DAY_MS]
  for (const [offset, timestamp] of times.entries()) {
    await writeTrade(trade({ timestamp }), offset)
    await writeBar(bar({ start: timestamp }))
  }
  const range = { fromMs: midnight - 1, toMs: midnight + DAY_MS, limit: 100 }
  expect((await reader.trades('AAPL', range)).map(({ timestamp }) => timestamp)).toEqual(times.slice(1))
  expect((await reader.bars('AAPL', '1m', range)).map(({ start }) => start)).toEqual(times.slice(1))
  const ends = { ...range, fromMs: midnight, toMs: midnight }
  expect((await reader.trades('AAPL', ends)).map(({ timestamp }) => timestamp)).toEqual([midnight])
})

test('the limit keeps the first rows from a beginning, and the last rows without one', async () => {
  const months = Array.from({ length: 20 }, (_, index) => Date.UTC(2025, 4 + index, 15))
  for (const start of months) {
    await writeBar(bar({ start }))
    await writeBar(bar({ start: start + 60_000 }))
  }
  const starts = months.flatMap((start) => [start, start + 60_000])
  const toMs = Date.UTC(2027, 5, 1)
  const first = await reader.bars('AAPL', '1m', { fromMs: 0, toMs, limit: 15 })
  expect(first.map(({ start }) => start)).toEqual(starts.slice(0, 15))
  const last = await reader.bars('AAPL', '1m', { toMs, limit: 15 })
  expect(last.map(({ start }) => start)).toEqual(starts.slice(-15))
  expect(await reader.bars('AAPL', '1m', { toMs, limit: 0 })).toEqual([])
})

test('a symbol with little or no history is answered without walking through empty partitions one by one', async () => {
  const old = Date.UTC(1999, 0, 4, 15)
  await writeBar(bar({ start: old }))
  await writeBar(bar())
  await writeTrade(trade({ timestamp: FRIDAY - 300 * DAY_MS, price: 1 }), 0)
  await writeTrade(trade({ price: 2 }), 1)
  const counted = new HistoryReader(target.config, { timeoutMs: 20_000 })
  await counted.connect()
  const asked: string[] = []
  const client = (counted as unknown as { client: TestKeyspace['client'] }).client
  const execute = client.execute.bind(client) as (query: string, ...rest: unknown[]) => unknown
  client.execute = ((query: string, ...rest: unknown[]) => {
    asked.push(query)
    return execute(query, ...rest)
  }) as typeof client.execute
  try {
    const newest = { toMs: FRIDAY + DAY_MS, limit: 500 }
    expect((await counted.bars('AAPL', '1m', newest)).map(({ start }) => start)).toEqual([old, FRIDAY])
    expect((await counted.trades('AAPL', newest)).map(({ price }) => price)).toEqual([1, 2])
    expect(await counted.bars('NEVER', '1m', newest)).toEqual([])
    expect(asked.length).toBeLessThan(60)
  } finally {
    await counted.close()
  }
})

test('an answer longer than a page of the driver is whole', async () => {
  const rows = Array.from({ length: 6_000 }, (_, offset) =>
    tradeRow(trade({ timestamp: FRIDAY + offset }), { partition: 0, offset, brokerTimeMs: BROKER }),
  )
  while (rows.length > 0) await send(writeOf('trades', ...rows.splice(0, 500)))
  expect(await reader.trades('AAPL', everything)).toHaveLength(6_000)
})

test('averages are asked for by slot, the one around the beginning included', async () => {
  for (const slot of [0, 1, 2])
    await writeAverage(average({ asOf: FRIDAY + slot * AVERAGES_SLOT_MS + 1_234, count: slot }))
  const range = { fromMs: FRIDAY + AVERAGES_SLOT_MS + 2_000, toMs: FRIDAY + 60_000, limit: 10 }
  expect((await reader.averages('AAPL', range)).map(({ count }) => count)).toEqual([1, 2])
})

test('another symbol, interval or day is not answered', async () => {
  await writeBar(bar({ symbol: 'MSFT' }))
  await writeBar(bar({ interval: '5m' }))
  expect(await reader.bars('AAPL', '1m', everything)).toEqual([])
  await expect(reader.trades('AAPL', { fromMs: 0, toMs: FRIDAY, limit: 1 })).rejects.toBeInstanceOf(RangeTooWide)
})

/** Accepts connections and never says a word. */
function silentServer(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined))
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

test('while no node answers, a question is refused within its time, and the reader can be closed', async () => {
  const server = await silentServer()
  const { port } = server.address() as { port: number }
  const log = recordingLog()
  const away = new HistoryReader({ ...target.config, contactPoints: [`127.0.0.1:${port}`] }, { log, timeoutMs: 300 })
  const connecting = away.connect()
  try {
    expect(away.ready()).toBe(false)
    await expect(away.bars('AAPL', '1m', everything)).rejects.toBeInstanceOf(CassandraUnavailable)
    await expect.poll(() => log.lines, { timeout: 10_000 }).toEqual(['Cassandra cannot be reached: waiting for it'])
  } finally {
    await away.close()
    await connecting
    server.close()
  }
})

test.each(['cut', 'freeze'] as const)(
  'a reader whose node is gone (%s) refuses in time and answers again when it is back',
  async (way) => {
    await writeBar(bar())
    const proxy = await proxyTo(inject('cassandra'))
    const remote = new HistoryReader(
      { ...target.config, contactPoints: [`127.0.0.1:${proxy.port}`] },
      { timeoutMs: 600 },
    )
    try {
      await remote.connect()
      expect(await remote.bars('AAPL', '1m', everything)).toEqual([bar()])
      proxy[way]()
      const askedAtMs = performance.now()
      await expect(remote.bars('AAPL', '1m', everything)).rejects.toBeInstanceOf(CassandraUnavailable)
      expect(performance.now() - askedAtMs).toBeLessThan(5_000)
      proxy.restore()
      await expect
        .poll(() => remote.bars('AAPL', '1m', everything).catch(() => undefined), { timeout: 15_000 })
        .toEqual([bar()])
    } finally {
      await remote.close()
      await proxy.close()
    }
  },
)

test('tables that are not there yet are unavailable, not a fault', async () => {
  const early = new HistoryReader({ ...target.config, keyspace: 'cassandra_not_there' })
  await early.connect()
  try {
    await expect(early.trades('AAPL', everything)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('cassandra_not_there') as string,
    })
  } finally {
    await early.close()
  }
})
