// The one import against the arrows: the simulated exchange is what this process reads in every test and on every laptop.
import { Exchange } from '@candlewick/dev/exchange/exchange'
import { Market } from '@candlewick/dev/exchange/market'
import { SimulatedFeed, type SimulatedFeedOptions } from '@candlewick/dev/exchange/simulated-feed'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { readDeadLetter } from '@candlewick/streams/kafka/dead-letter'
import { createLogger } from '@candlewick/service/logger'
import { COMMON_SETTINGS } from '@candlewick/service/process'
import { readSettings } from '@candlewick/service/settings'
import { partitionFor } from '@candlewick/streams/kafka/partitioner'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { startProducer } from './app.js'
import { PRODUCER_SETTINGS } from './settings.js'
import { KafkaProxy } from './testing/kafka-proxy.js'
import { ScriptedFeed } from './testing/scripted-feed.js'
import { TestTopics } from './testing/topic.js'

const KEY = 'c0ffee-secret-key'
const PATIENCE = { timeout: 30_000, interval: 50 }
const FLUSH_TIMEOUT_MS = 3_000
const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', 'BINANCE:BTCUSDT', 'OANDA:EUR_USD', 'IC MARKETS:1']

let topics: TestTopics
const open: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  topics = new TestTopics(inject('kafkaBrokers'))
  open.push(() => topics.close())
  await topics.create()
})

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function startExchange(options: Partial<SimulatedFeedOptions> = {}) {
  const feed = new SimulatedFeed({ seed: '1', symbols: 100, tradesPerSecond: 2_000, total: 0, ...options })
  const exchange = new Exchange(feed, createLogger('exchange', 'silent'))
  open.push(() => exchange.close())
  return { exchange, url: await exchange.start({ host: '127.0.0.1', port: 0 }) }
}

async function start(env: Record<string, string>) {
  const lines: string[] = []
  const log = pino(
    { level: 'debug' },
    new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }),
  )
  const closers: (() => Promise<void> | void)[] = []
  const failures: unknown[] = []
  let closed: Promise<void> | undefined
  const close = () =>
    (closed ??= (async () => {
      for (const each of closers.reverse()) await each()
    })())
  const settings = readSettings(
    { ...COMMON_SETTINGS, ...PRODUCER_SETTINGS },
    {
      ...{ KAFKA_BROKERS: inject('kafkaBrokers'), TOPIC_PREFIX: topics.prefix, PRODUCER_PORT: '0' },
      ...{ FINNHUB_API_KEY: KEY, SYMBOLS: SYMBOLS.join(',') },
      ...env,
    },
  )
  const url = await startProducer(
    { settings, log, onClose: (_name, closer) => closers.push(closer), fail: (error) => failures.push(error) },
    { flushTimeoutMs: FLUSH_TIMEOUT_MS },
  )
  open.push(close)
  const get = async (path: string) => {
    const response = await fetch(url + path)
    return { status: response.status, text: await response.text() }
  }
  return {
    ...{ url, get, close, failures },
    logged: () => lines.join(''),
    told: (message: RegExp) =>
      lines.map((line) => JSON.parse(line) as { msg: string }).filter(({ msg }) => message.test(msg)),
    metric: async (name: string) => {
      const line = (await get('/metrics')).text
        .split('\n')
        .find((text) => text.startsWith(`candlewick_producer_${name} `))
      return Number(line?.split(' ').at(-1))
    },
    gaps: async () => (JSON.parse((await get('/gaps')).text) as { gaps: Record<string, unknown>[] }).gaps,
  }
}

describe('the producer', () => {
  it('puts every trade of the feed on Kafka once, keyed by symbol, in its order, where Java would put it', async () => {
    const { exchange, url } = await startExchange({ total: 4_000, tradesPerSecond: 4_000 })
    const producer = await start({ FINNHUB_URL: url })
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBe(4_000), PATIENCE)
    expect(exchange.status()).toMatchObject({ sent: 4_000, done: true })

    const read = await topics.trades()
    expect(read.length).toBe(4_000)
    expect(new Set(read.map(({ key }) => key))).toEqual(new Set(SYMBOLS))
    const misplaced = read.filter(({ key, partition }) => partition !== partitionFor(Buffer.from(key), 3))
    expect(misplaced).toEqual([])
    expect(read.filter(({ key, trade }) => trade.symbol !== key || trade.source !== 'finnhub')).toEqual([])
    // The same seed and symbols again, straight from the market, give what should be there.
    const market = new Market({ seed: '1', symbols: 100 })
    market.trade(SYMBOLS)
    const expected = Array.from({ length: 4_000 }, (_, i) => market.next(i)!)
    for (const symbol of SYMBOLS) {
      const of = read.filter(({ key }) => key === symbol).map(({ trade: { price, volume } }) => [price, volume])
      expect(of).toEqual(expected.filter(({ s }) => s === symbol).map(({ p, v }) => [p, v]))
    }
    expect(await topics.deadLetters()).toEqual([])
  })

  it('is ready when Kafka and the feed are there, healthy all the time, and says what is missing', async () => {
    const { exchange, url } = await startExchange()
    const producer = await start({ FINNHUB_URL: url })
    expect((await producer.get('/healthz')).status).toBe(200)
    await vi.waitFor(async () => expect((await producer.get('/readyz')).status).toBe(200), PATIENCE)
    exchange.fault({ kind: 'drop', seconds: 1 })
    await vi.waitFor(async () => {
      expect(await producer.get('/readyz')).toMatchObject({
        status: 503,
        text: expect.stringContaining('feed') as string,
      })
    }, PATIENCE)
    expect((await producer.get('/healthz')).status).toBe(200)
    await vi.waitFor(async () => expect((await producer.get('/readyz')).status).toBe(200), PATIENCE)
    const [gap] = await producer.gaps()
    expect(gap).toMatchObject({ cause: 'disconnected' })
    expect(Number(gap!['to']) - Number(gap!['from'])).toBeGreaterThan(0)
    expect(await producer.metric('gaps_total{cause="disconnected"}')).toBe(1)
    expect(await producer.metric('gap_seconds_total{cause="disconnected"}')).toBeGreaterThan(0)
    expect(await producer.metric('reconnects_total')).toBe(1)
    expect(await producer.metric('connected')).toBe(1)
  })

  it('sends garbage to the dead letters with its bytes as they came, and goes on', async () => {
    const feed = new ScriptedFeed()
    open.push(() => feed.close())
    const producer = await start({ FINNHUB_URL: await feed.start() })
    await vi.waitFor(() => expect(feed.sockets.length).toBe(1), PATIENCE)
    const bad = '{"s":"AAPL", "p":-1.50,"t":1700000000000,"v":1}'
    feed.send(Buffer.from([0x7b, 0xff, 0x00]))
    feed.send('<html>')
    feed.send(`{"type":"trade","data":[{"s":"MSFT","p":1,"t":1700000000000,"v":0,"c":null},${bad}]}`)
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBe(4), PATIENCE)

    expect((await topics.trades()).map(({ trade }) => trade)).toMatchObject([
      { symbol: 'MSFT', price: 1, volume: 0, timestamp: 1_700_000_000_000, conditions: null },
    ])
    const letters = await topics.deadLetters()
    const byReason = new Map(letters.map((letter) => [readDeadLetter(letter.headers)!.exception, letter]))
    expect(byReason.get('not-utf8')).toMatchObject({ key: null, value: Buffer.from([0x7b, 0xff, 0x00]) })
    expect(byReason.get('not-json')).toMatchObject({ key: null, value: Buffer.from('<html>') })
    expect(byReason.get('price')).toMatchObject({ key: 'AAPL', value: Buffer.from(bad) })
    expect(letters.length).toBe(3)
  })

  it('tells a restart as a gap, from the last trade of the run before', async () => {
    const { url } = await startExchange()
    const first = await start({ FINNHUB_URL: url })
    await vi.waitFor(async () => expect(await first.metric('delivered_total')).toBeGreaterThan(100), PATIENCE)
    expect(await first.gaps()).toEqual([])
    await first.close()
    const lastMs = Math.max(...(await topics.trades()).map(({ trade }) => trade.receivedAt))
    const second = await start({ FINNHUB_URL: url })
    await vi.waitFor(async () => expect(await second.metric('connected')).toBe(1), PATIENCE)
    expect(await second.gaps()).toEqual([
      { cause: 'restart', detail: 'no producer was running', from: lastMs, to: expect.any(Number) as number },
    ])
  })

  it('ends with everything it has read on Kafka', async () => {
    const { url } = await startExchange({ tradesPerSecond: 5_000 })
    const producer = await start({ FINNHUB_URL: url })
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBeGreaterThan(1_000), PATIENCE)
    await producer.close()
    const [{ records }] = producer.told(/everything read is on Kafka/) as unknown as [{ records: number }]
    expect((await topics.trades()).length).toBe(records)
  })

  it('shows the key nowhere', async () => {
    const { exchange, url } = await startExchange()
    const producer = await start({ FINNHUB_URL: `${url}/?token=older-secret` })
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBeGreaterThan(0), PATIENCE)
    exchange.fault({ kind: 'error', message: `Invalid API key ${KEY} older-secret` })
    await vi.waitFor(() => expect(producer.told(/reports an error/).length).toBe(1), PATIENCE)
    exchange.fault({ kind: 'refuse', status: 401, seconds: 60 })
    exchange.fault({ kind: 'drop', seconds: 0 })
    await vi.waitFor(() => expect(producer.told(/connection to the feed is lost/).length).toBe(1), PATIENCE)
    const shown = await Promise.all(['/metrics', '/gaps', '/readyz', '/healthz'].map((path) => producer.get(path)))
    await producer.close()
    for (const text of [producer.logged(), ...shown.map(({ text }) => text)])
      expect(text).not.toMatch(/c0ffee|older-secret/)
  })

  it('fails with one clear sentence when its key is refused', async () => {
    const { exchange, url } = await startExchange()
    exchange.fault({ kind: 'refuse', status: 401, seconds: 60 })
    const producer = await start({ FINNHUB_URL: url })
    await vi.waitFor(() => expect(producer.failures.length).toBe(1), PATIENCE)
    expect(producer.failures[0]).toMatchObject({
      code: 'START',
      message: expect.stringMatching(/FINNHUB_API_KEY is wrong$/) as string,
    })
  })
})

describe('while Kafka is away', () => {
  async function startBehindProxy(env: Record<string, string> = {}) {
    const proxy = new KafkaProxy(inject('kafkaBrokers'))
    open.push(() => proxy.close())
    return { proxy, brokers: await proxy.start(), env }
  }

  it('the producer holds what comes, stops reading at its bound, and nothing is missing or double afterwards', async () => {
    const { proxy, brokers } = await startBehindProxy()
    const feed = new ScriptedFeed()
    open.push(() => feed.close())
    const producer = await start({ FINNHUB_URL: await feed.start(), KAFKA_BROKERS: brokers, PRODUCER_BUFFER_MB: '1' })
    await vi.waitFor(() => expect(feed.sockets.length).toBe(1), PATIENCE)
    let sent = 0
    const send = (padding = '') => {
      const data = Array.from({ length: 100 }, () => ({ s: SYMBOLS[sent % 6], p: ++sent, t: 1_700_000_000_000, v: 1 }))
      feed.send({ type: 'trade', data, padding })
    }
    send()
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBe(100), PATIENCE)

    proxy.cut()
    let mostHeld = 0
    await vi.waitUntil(async () => {
      for (let i = 0; i < 10; i++) send()
      mostHeld = Math.max(mostHeld, await producer.metric('buffered_bytes'))
      return (await producer.metric('paused')) === 1
    }, PATIENCE)
    // The feed goes on until it notices that nobody reads: first the kernel's buffers fill, then its own.
    await vi.waitUntil(async () => {
      for (let i = 0; i < 10; i++) send('x'.repeat(40_000))
      mostHeld = Math.max(mostHeld, await producer.metric('buffered_bytes'))
      return feed.latest.bufferedAmount > 1_000_000
    }, PATIENCE)
    expect(await producer.metric('paused')).toBe(1)
    expect(mostHeld).toBeGreaterThan(700_000)
    expect(mostHeld).toBeLessThanOrEqual(1024 * 1024)
    expect(await producer.get('/readyz')).toMatchObject({
      status: 503,
      text: expect.stringContaining('Kafka') as string,
    })
    expect((await producer.get('/healthz')).status).toBe(200)
    expect(producer.told(/the feed is not read until there is room/).length).toBe(1)

    proxy.restore()
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBe(sent), PATIENCE)
    expect(await producer.metric('paused')).toBe(0)
    expect((await producer.get('/readyz')).status).toBe(200)
    expect(await producer.gaps()).toEqual([])
    const read = await topics.trades()
    expect(read.length).toBe(sent)
    for (const symbol of SYMBOLS) {
      const prices = read.filter(({ key }) => key === symbol).map(({ trade }) => trade.price)
      expect(prices).toEqual(Array.from({ length: prices.length }, (_, i) => SYMBOLS.indexOf(symbol) + 1 + i * 6))
    }
  })

  it('at the start, the producer waits for it, and for its topics', async () => {
    const { proxy, brokers } = await startBehindProxy()
    proxy.cut()
    const { url } = await startExchange()
    const producer = await start({ FINNHUB_URL: url, KAFKA_BROKERS: brokers, TOPIC_PREFIX: `${topics.prefix}late-` })
    await vi.waitFor(() => expect(producer.told(/waiting for Kafka/).length).toBe(1), PATIENCE)
    expect((await producer.get('/readyz')).status).toBe(503)
    proxy.restore()
    await vi.waitFor(() => expect(producer.told(/waiting for Kafka/).length).toBe(2), PATIENCE)
    expect(producer.logged()).toContain('UNKNOWN_TOPIC_OR_PARTITION')
    expect(producer.failures).toEqual([])
    await producer.close()
  })

  it('closing gives up after its time and says what is left', async () => {
    const { proxy, brokers } = await startBehindProxy()
    const { url } = await startExchange({ tradesPerSecond: 500 })
    const producer = await start({ FINNHUB_URL: url, KAFKA_BROKERS: brokers })
    await vi.waitFor(async () => expect(await producer.metric('delivered_total')).toBeGreaterThan(0), PATIENCE)
    proxy.cut()
    await vi.waitFor(async () => expect(await producer.metric('buffered_bytes')).toBeGreaterThan(1_000), PATIENCE)
    const sinceMs = performance.now()
    await producer.close()
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(FLUSH_TIMEOUT_MS - 1)
    expect(performance.now() - sinceMs).toBeLessThan(FLUSH_TIMEOUT_MS + 10_000)
    const [left] = producer.told(/did not take everything in time/) as unknown as {
      leftBytes: number
      leftRecords: number
    }[]
    expect(left!.leftBytes).toBeGreaterThan(1_000)
    expect(left!.leftRecords).toBeGreaterThan(10)
  })
})

describe('a recording', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'producer-recording-'))
    open.push(() => rm(directory, { recursive: true }))
  })

  it.each(['day.csv', 'day.csv.gz'])(
    '(%s) is on Kafka to its last trade, its bad lines among the dead letters',
    async (name) => {
      const lines = Array.from({ length: 30_000 }, (_, i) => `S${i % 7},${i + 0.5},${i % 3},${1_381_190_400_374 + i}`)
      const bad = ['S1,-1,1,1381190400374', 'S1,1,1', ',1,1,1381190400374', 'S2,1,1,soon']
      const csv = ['symbol,price,volume,timestamp_ms', ...lines.slice(0, 9), ...bad, ...lines.slice(9)].join('\n')
      const file = join(directory, name)
      await writeFile(file, name.endsWith('.gz') ? gzipSync(csv) : csv)
      // The smallest buffer, so that the file is held back on the way.
      const producer = await start({
        SOURCE: 'recording',
        RECORDING_FILE: file,
        RECORDING_SPEED: 'max',
        PRODUCER_BUFFER_MB: '1',
      })
      await vi.waitFor(
        () => expect(producer.told(/all of the recording is on Kafka/)).toMatchObject([{ records: 30_004 }]),
        PATIENCE,
      )

      const read = (await topics.trades()).map(({ trade }) => trade)
      expect(read.length).toBe(30_000)
      for (let s = 0; s < 7; s++) {
        const of = read.filter(({ symbol }) => symbol === `S${s}`)
        const written = of.map(({ symbol, price, volume, timestamp }) => `${symbol},${price},${volume},${timestamp}`)
        expect(written).toEqual(lines.filter((line) => line.startsWith(`S${s},`)))
        expect(new Set(of.map(({ source, conditions }) => `${source} ${conditions}`))).toEqual(
          new Set(['recording null']),
        )
      }
      const letters = await topics.deadLetters()
      expect(letters.map(({ value }) => value.toString()).sort()).toEqual([...bad].sort())
      expect(new Set(letters.map(({ headers }) => readDeadLetter(headers)!.exception))).toEqual(
        new Set(['price', 'line-fields', 'symbol', 'timestamp']),
      )
      expect(await producer.gaps()).toEqual([])
    },
  )

  it('that is not there is told in one clear sentence', async () => {
    const producer = await start({ SOURCE: 'recording', RECORDING_FILE: join(directory, 'missing.csv') })
    await vi.waitFor(() => expect(producer.failures.length).toBe(1), PATIENCE)
    expect(producer.failures[0]).toMatchObject({
      code: 'START',
      message: expect.stringContaining('missing.csv') as string,
    })
  })
})
