import { createLogger } from '@candlewick/service/logger'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Exchange } from './exchange.js'
import { createListings } from './listings.js'
import { SimulatedFeed, type SimulatedFeedOptions } from './simulated-feed.js'
import { refusedHandshake, TestClient } from './test-client.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const open: { close(): unknown }[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const each of open.splice(0).reverse()) await each.close()
})

async function startExchange(options: Partial<SimulatedFeedOptions> = {}) {
  const feed = new SimulatedFeed({ seed: '1', symbols: 300, tradesPerSecond: 2_000, total: 0, ...options })
  const exchange = new Exchange(feed, createLogger('exchange', 'silent'))
  open.push(exchange)
  return { exchange, url: await exchange.start({ host: '127.0.0.1', port: 0 }) }
}

async function connect(url: string, symbols: readonly string[], token?: string): Promise<TestClient> {
  const client = await TestClient.open(url, symbols, token)
  open.push(client)
  return client
}

const http = (url: string) => url.replace(/^ws/, 'http')

async function fault(url: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${http(url)}/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('the simulated exchange', () => {
  it('sends only what is subscribed, several trades of several symbols in a frame', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL', 'BINANCE:BTCUSDT', 'IC MARKETS:1'])
    const symbols = new Set(['AAPL', 'BINANCE:BTCUSDT', 'IC MARKETS:1'])
    await until(() => expect(new Set(client.trades.map(({ s }) => s))).toEqual(symbols))
    expect(client.messages.some(({ data }) => new Set(data?.map(({ s }) => s)).size > 1)).toBe(true)
    for (const { t } of client.trades) expect(Math.abs(Date.now() - t)).toBeLessThan(60_000)
  })

  it('sends the symbols of a client to it alone', async () => {
    const { url } = await startExchange()
    const one = await connect(url, ['AAPL'], 'one')
    const two = await connect(url, ['MSFT'], 'two')
    await until(() => expect(Math.min(one.trades.length, two.trades.length)).toBeGreaterThan(20))
    expect(new Set(one.trades.map(({ s }) => s))).toEqual(new Set(['AAPL']))
    expect(new Set(two.trades.map(({ s }) => s))).toEqual(new Set(['MSFT']))
  })

  it('sends everything for the symbol *', async () => {
    const { url } = await startExchange({ symbols: 20 })
    const client = await connect(url, ['*'])
    await until(() => expect(new Set(client.trades.map(({ s }) => s)).size).toBe(20))
  })

  it('stops sending what is unsubscribed', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL', 'MSFT'])
    await until(() => expect(client.trades.some(({ s }) => s === 'AAPL')).toBe(true))
    client.unsubscribe('AAPL')
    await until(() => expect(client.trades.slice(-50).every(({ s }) => s === 'MSFT')).toBe(true))
  })

  it('answers an unknown symbol as Finnhub does, and goes on', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['NOSUCH', 'AAPL'])
    await until(() => expect(client.trades.length).toBeGreaterThan(0))
    expect(client.messages).toContainEqual({ type: 'error', msg: 'Invalid symbol NOSUCH' })
  })

  it('sends exactly the trades asked for, the same ones for the same seed and subscriptions, then is done', async () => {
    const runs = []
    for (let run = 0; run < 2; run++) {
      const { exchange, url } = await startExchange({ total: 1_000, tradesPerSecond: 3_000 * (run + 1), seed: '7' })
      const client = await connect(url, ['AAPL', 'MSFT', 'BINANCE:ETHUSDT'])
      await until(() => expect(client.trades.length).toBe(1_000))
      expect(exchange.status()).toMatchObject({ sent: 1_000, total: 1_000, done: true })
      runs.push(client.trades.map(({ s, p, v, c }) => ({ s, p, v, c })))
    }
    expect(runs[1]).toEqual(runs[0])
  })

  it('sends nothing before the last subscription has come, so that the sequence does not depend on how fast they came', async () => {
    const symbols = createListings(40).map(({ symbol }) => symbol)
    const runs = []
    for (const oneByOne of [true, false]) {
      const { exchange, url } = await startExchange({ total: 500, tradesPerSecond: 5_000 })
      const client = await connect(url, oneByOne ? [] : symbols)
      for (const [i, symbol] of oneByOne ? symbols.entries() : []) {
        client.subscribe(symbol)
        await until(() => expect(exchange.status().clients).toMatchObject([{ subscriptions: i + 1 }]))
      }
      await until(() => expect(client.trades.length).toBe(500))
      runs.push(client.trades.map(({ s, p }) => ({ s, p })))
    }
    expect(runs[0]).toEqual(runs[1])
  })

  it('keeps to its rate', async () => {
    const { exchange, url } = await startExchange({ tradesPerSecond: 1_000 })
    await connect(url, ['AAPL'])
    await until(() => expect(exchange.status().sent).toBeGreaterThan(0))
    const before = { sent: exchange.status().sent, atMs: performance.now() }
    await until(() => expect(exchange.status().sent).toBeGreaterThan(before.sent + 800))
    const rate = (exchange.status().sent - before.sent) / ((performance.now() - before.atMs) / 1000)
    expect(rate).toBeGreaterThan(500)
    expect(rate).toBeLessThan(1_600)
  })

  it('stands still while nobody listens', async () => {
    const { exchange, url } = await startExchange()
    const client = await connect(url, ['AAPL'])
    await until(() => expect(client.trades.length).toBeGreaterThan(10))
    client.close()
    await until(() => expect(exchange.status().clients).toEqual([]))
    const { sent } = exchange.status()
    const again = await connect(url, ['AAPL'])
    await until(() => expect(again.trades.length).toBeGreaterThan(10))
    expect(exchange.status().sent).toBeGreaterThanOrEqual(sent + again.trades.length)
  })

  it('pings once a minute', async () => {
    const { url, exchange } = await (async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      return startExchange()
    })()
    const client = await connect(url, [])
    await until(() => expect(exchange.status().clients.length).toBe(1))
    vi.advanceTimersByTime(59_000)
    expect(client.frames).toEqual([])
    vi.advanceTimersByTime(2_000)
    vi.useRealTimers()
    await until(() => expect(client.messages).toEqual([{ type: 'ping' }]))
  })

  it('refuses a handshake without a token with 401', async () => {
    const { url } = await startExchange()
    expect(await refusedHandshake(url)).toMatchObject({ status: 401 })
  })

  it('closes a second connection of the same token and keeps the first', async () => {
    const { url } = await startExchange()
    const first = await connect(url, ['AAPL'], 'same')
    await until(() => expect(first.trades.length).toBeGreaterThan(0))
    const second = await connect(url, ['AAPL'], 'same')
    await until(() => expect(second.closed).toBe(true))
    expect(first.closed).toBe(false)
  })
})

describe('faults on request', () => {
  it('drop cuts every connection', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL'])
    await fault(url, { kind: 'drop' })
    await until(() => expect(client.closed).toBe(true))
    await connect(url, ['AAPL'])
  })

  it.each([401, 429, 502, 200])('refuse-%i answers handshakes with it for so long', async (status) => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL'])
    await fault(url, { kind: `refuse-${status}`, seconds: 7 })
    const refused = await refusedHandshake(`${url}/?token=other`)
    expect(refused).toEqual({ status, retryAfter: status === 429 ? '7' : undefined })
    expect(client.closed).toBe(false)
    await fault(url, { kind: 'none' })
    await connect(url, ['AAPL'], 'other')
  })

  it('silence stops trades, and they go on afterwards', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL'])
    await until(() => expect(client.trades.length).toBeGreaterThan(0))
    await fault(url, { kind: 'silence', seconds: 0.4 })
    await until(async () => expect(await status(url)).toMatchObject({ silent: true }))
    const { sent } = await status(url)
    let sentInSilence = 0
    await until(async () => {
      const now = await status(url)
      if (now.silent) sentInSilence = now.sent - sent
      expect(now.silent).toBe(false)
    })
    expect(sentInSilence).toBe(0)
    await until(async () => expect((await status(url)).sent).toBeGreaterThan(sent + 100))
  })

  it('error sends an error frame', async () => {
    const { url } = await startExchange()
    const client = await connect(url, ['AAPL'])
    await fault(url, { kind: 'error', message: 'Subscribing to too many symbols' })
    await until(() => expect(client.messages).toContainEqual({ type: 'error', msg: 'Subscribing to too many symbols' }))
  })

  it('garbage sends the very bytes it names', async () => {
    const { url } = await startExchange()
    const client = await connect(url, [])
    const { body } = await fault(url, { kind: 'garbage' })
    await until(() => expect(client.frames.length).toBe(7))
    expect(client.frames.map((frame) => frame.toString('base64'))).toEqual(body['frames'])
  })

  it('anything else is a 400 that says what there is', async () => {
    const { url } = await startExchange()
    expect(await fault(url, { kind: 'explode' })).toMatchObject({ status: 400 })
    expect(await fault(url, { kind: 'drop', seconds: -1 })).toMatchObject({ status: 400 })
  })

  async function status(url: string): Promise<{ sent: number; silent: boolean }> {
    return (await (await fetch(`${http(url)}/status`)).json()) as { sent: number; silent: boolean }
  }
})

describe('the exchange’s HTTP side', () => {
  it('is healthy and ready, and tells its metrics', async () => {
    const { url } = await startExchange()
    for (const path of ['/healthz', '/readyz', '/metrics']) expect((await fetch(http(url) + path)).status).toBe(200)
  })
})
