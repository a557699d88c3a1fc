import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createLogger } from '@candlewick/service/logger'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Exchange } from './exchange.js'
import { Market } from './market.js'
import { RecordedFeed } from './recorded-feed.js'
import { TestClient } from './test-client.js'
import type { WireTrade } from './ticker.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const START_MS = Date.UTC(2013, 9, 8, 14)
let directory: string
const open: { close(): unknown }[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'recorded-feed-'))
})

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  await rm(directory, { recursive: true })
})

function record(count: number, stepMs = 1): WireTrade[] {
  const market = new Market({ seed: 'recording', symbols: 50 })
  market.trade(market.symbols)
  return Array.from({ length: count }, (_, i) => {
    const { s, p, t, v } = market.next(START_MS + i * stepMs)!
    return { s, p, t, v }
  })
}

async function play(trades: readonly WireTrade[], speed: number | 'max', name = 'day.csv') {
  const csv = 'symbol,price,volume,timestamp_ms\n' + trades.map(({ s, p, t, v }) => `${s},${p},${v},${t}\n`).join('')
  const file = join(directory, name)
  await writeFile(file, name.endsWith('.gz') ? gzipSync(csv) : csv)
  const errors: unknown[] = []
  const feed = new RecordedFeed({ file, speed, onError: (error) => errors.push(error) })
  const exchange = new Exchange(feed, createLogger('exchange', 'silent'))
  open.push(exchange)
  return { exchange, errors, url: await exchange.start({ host: '127.0.0.1', port: 0 }) }
}

async function connect(url: string, symbols: readonly string[], token?: string): Promise<TestClient> {
  const client = await TestClient.open(url, symbols, token)
  open.push(client)
  return client
}

describe('a recording played by the exchange', () => {
  it.each(['day.csv', 'day.csv.gz'])('sends every trade of %s once, in order, with its own time', async (name) => {
    const trades = record(20_000)
    const { exchange, url } = await play(trades, 'max', name)
    const client = await connect(url, ['*'])
    await until(() => expect(exchange.status().done).toBe(true))
    await until(() => expect(client.trades.length).toBe(20_000))
    expect(client.trades).toEqual(trades)
    expect(client.frames.length).toBeLessThan(2_000)
    expect(exchange.status()).toMatchObject({ sent: 20_000, total: 20_000, skipped: 0 })
  })

  it('waits for the first subscription', async () => {
    const { exchange, url } = await play(record(100), 'max')
    const client = await connect(url, [])
    await until(() => expect(exchange.status().clients.length).toBe(1))
    expect(exchange.status()).toMatchObject({ sent: 0, skipped: 0, done: false })
    client.subscribe('*')
    await until(() => expect(client.trades.length).toBe(100))
  })

  it('sends each trade to one client only, the first that has subscribed its symbol', async () => {
    const trades = record(5_000)
    const { exchange, url } = await play(trades, 'max')
    const one = await connect(url, ['AAPL', 'MSFT'], 'one')
    const two = await connect(url, ['MSFT', 'NVDA'], 'two')
    await until(() => expect(exchange.status().done).toBe(true))
    const of = (...symbols: string[]) => trades.filter(({ s }) => symbols.includes(s))
    await until(() => expect(one.trades).toEqual(of('AAPL', 'MSFT')))
    await until(() => expect(two.trades).toEqual(of('NVDA')))
    expect(exchange.status().skipped).toBe(5_000 - of('AAPL', 'MSFT', 'NVDA').length)
  })

  it('is held up by a client that does not read, in bounded memory, and loses nothing', async () => {
    const trades = record(300_000)
    const { exchange, url } = await play(trades, 'max')
    const client = await connect(url, ['*'])
    client.socket.pause()
    await until(() => expect(exchange.status().sent).toBeGreaterThan(0))
    await vi.waitUntil(heldUp(exchange), { timeout: 10_000, interval: 100 })
    expect(exchange.status().done).toBe(false)
    expect(exchange.status().clients[0]!.bufferedBytes).toBeLessThan(6 * 1024 * 1024)
    client.socket.resume()
    await until(() => expect(exchange.status().done).toBe(true))
    await until(() => expect(client.frames.length).toBeGreaterThan(0))
    await vi.waitUntil(() => client.trades.length === 300_000, { timeout: 20_000, interval: 200 })
    expect(client.trades.at(-1)).toEqual(trades.at(-1))
  })

  it('goes on where it was when its client comes back', async () => {
    const trades = record(2_000, 1)
    const { exchange, url } = await play(trades, 1)
    const first = await connect(url, ['*'])
    await until(() => expect(first.trades.length).toBeGreaterThan(100))
    first.close()
    await until(() => expect(exchange.status().clients).toEqual([]))
    const second = await connect(url, ['*'])
    await until(() => expect(exchange.status().done).toBe(true))
    await until(() => expect(second.trades.at(-1)).toEqual(trades.at(-1)))
    const sent = [...first.trades, ...second.trades]
    expect(exchange.status().sent).toBe(2_000)
    expect(sent.length).toBeLessThanOrEqual(2_000)
    // What was under way when the connection broke is lost, as with a real feed; nothing comes twice.
    expect(second.trades).toEqual(trades.slice(-second.trades.length))
  })

  it('passes over lines that are no trade and says how many', async () => {
    const { exchange, url } = await play(record(10), 'max')
    await writeFile(join(directory, 'day.csv'), 'AAPL,1,1,1\nonly,three,fields\nAAPL,2,1,2\n')
    const client = await connect(url, ['*'])
    await until(() => expect(exchange.status()).toMatchObject({ done: true, sent: 2, skipped: 1 }))
    await until(() => expect(client.trades.map(({ p }) => p)).toEqual([1, 2]))
  })

  it('reports a file that is damaged', async () => {
    const { errors, url } = await play([], 'max', 'day.csv.gz')
    await writeFile(join(directory, 'day.csv.gz'), gzipSync('AAPL,1,1,1\n'.repeat(1000)).subarray(0, 40))
    await connect(url, ['*'])
    await until(() => expect(errors).toMatchObject([{ code: 'RECORDING' }]))
  })

  function heldUp(exchange: Exchange): () => boolean {
    let before = -1
    return () => {
      const { sent } = exchange.status()
      const same = sent === before
      before = sent
      return same
    }
  }
})
