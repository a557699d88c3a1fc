import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ProducerMetrics } from '../metrics.js'
import { ClientSockets } from '../testing/client-sockets.js'
import { ManualClock } from '../testing/manual-clock.js'
import { RecordedEvents } from '../testing/recorded-events.js'
import { recordLog } from '../testing/recorded-log.js'
import { ScriptedFeed } from '../testing/scripted-feed.js'
import { Endpoint } from './endpoint.js'
import { FinnhubSource, type FinnhubOptions } from './source.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const KEY = 'c0ffee-secret-key'
const T = 1_760_000_000_000
const open: (() => Promise<void>)[] = []

let sockets: ClientSockets
beforeEach(() => {
  sockets = new ClientSockets()
})

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  sockets.stop()
  // In none of these tests may there ever have been a second one: Finnhub would close both.
  expect(sockets.mostOpen).toBeLessThanOrEqual(1)
})

async function startFeed(): Promise<{ feed: ScriptedFeed; url: string }> {
  const feed = new ScriptedFeed()
  open.push(() => feed.close())
  return { feed, url: await feed.start() }
}

function startSource(url: string, options: Partial<FinnhubOptions> = {}) {
  const clock = new ManualClock()
  const registry = new Registry()
  const metrics = new ProducerMetrics(registry, () => 0)
  const events = new RecordedEvents()
  const logged = recordLog()
  const source = new FinnhubSource({
    endpoint: new Endpoint(url, KEY),
    symbols: ['AAPL', 'BINANCE:BTCUSDT'],
    log: logged.log,
    metrics,
    clock,
    chance: () => 1,
    ...options,
  })
  source.start(events)
  open.push(() => source.stop())
  let waits = 0
  /** Waits until the source waits for its next attempt, and tells for how long. */
  const waiting = async (): Promise<number> => {
    waits++
    await until(() => expect(logged.of(/cannot connect|is lost/).length).toBe(waits))
    expect(clock.pendingMs.length).toBe(1)
    return clock.pendingMs[0]!
  }
  return { source, events, clock, logged, registry, metrics, waiting }
}

/** One feed, one source, connected. */
async function connected(options: Partial<FinnhubOptions> = {}) {
  const { feed, url } = await startFeed()
  const started = startSource(url, options)
  await until(() => expect(started.events.connections).toBe(1))
  await until(() => expect(feed.received[0]!.length).toBeGreaterThan(0))
  return { feed, url, ...started }
}

const tradeFrame = (price: number) => ({ type: 'trade', data: [{ s: 'AAPL', p: price, t: T, v: 1 }] })

describe('a connection to the feed', () => {
  it('carries the key and subscribes each symbol with a frame of its own as soon as it is open', async () => {
    const { feed } = await connected()
    expect(feed.requests[0]!.url).toBe(`/?token=${KEY}`)
    await until(() =>
      expect(feed.received[0]).toEqual([
        '{"type":"subscribe","symbol":"AAPL"}',
        '{"type":"subscribe","symbol":"BINANCE:BTCUSDT"}',
      ]),
    )
  })

  it('gives the trades of a frame together, with the bytes of each as they came', async () => {
    const { feed, events, clock } = await connected()
    feed.send('{"type":"trade","data":[{"s":"AAPL","p":1.50,"t":1,"v":0}, {"s":"MSFT","p":-2,"t":2,"v":1,"c":null}]}')
    await until(() => expect(events.batches.length).toBe(1))
    const [batch] = events.batches
    expect(batch!.trades).toEqual([
      { symbol: 'AAPL', price: 1.5, timestamp: 1, volume: 0, conditions: undefined },
      { symbol: 'MSFT', price: -2, timestamp: 2, volume: 1, conditions: null },
    ])
    expect(batch!.receivedAtMs).toBe(clock.nowMs())
    expect(batch!.rawOf(0).toString()).toBe('{"s":"AAPL","p":1.50,"t":1,"v":0}')
    expect(batch!.rawOf(1).toString()).toBe('{"s":"MSFT","p":-2,"t":2,"v":1,"c":null}')
  })

  it('leaves a ping unanswered', async () => {
    const { feed, events, registry } = await connected({ symbols: ['AAPL'] })
    feed.send({ type: 'ping' })
    feed.send(tradeFrame(1))
    await until(() => expect(events.trades.length).toBe(1))
    expect(feed.received[0]!.length).toBe(1)
    expect(events.rejected).toEqual([])
    expect(await registry.metrics()).toContain('candlewick_producer_frames_total{type="ping"} 1')
  })

  it('rejects garbage with its very bytes and stays open', async () => {
    const { feed, events } = await connected()
    const garbage = [Buffer.from([0x7b, 0xff, 0x00]), Buffer.from('<html>'), Buffer.from('{"type":"gossip"}')]
    for (const frame of garbage) feed.send(frame)
    feed.send(tradeFrame(1))
    await until(() => expect(events.trades.length).toBe(1))
    expect(events.rejected.map(({ raw }) => raw)).toEqual(garbage)
    expect(events.rejected.map(({ reason }) => reason)).toEqual(['not-utf8', 'not-json', 'unknown-type'])
    expect(events.disconnections).toEqual([])
  })

  it('logs and counts error frames, naming the symbols', async () => {
    const symbols = Array.from({ length: 52 }, (_, i) => `S${i}`)
    const { feed, logged, registry } = await connected({ symbols })
    feed.send({ type: 'error', msg: 'Invalid symbol S3' })
    feed.send({ type: 'error', msg: 'Subscribing to too many symbols' })
    feed.send({ type: 'error', msg: 'Subscribing to too many symbols' })
    feed.send({ type: 'error', msg: `Internal error, token=${KEY}` })
    await until(() => expect(logged.of('reports an error').length).toBe(3))
    expect(logged.of('reports an error').map(({ fields }) => fields['symbols'])).toEqual([['S3'], ['S50', 'S51'], []])
    expect(logged.text()).not.toContain(KEY)
    const metrics = await registry.metrics()
    expect(metrics).toContain('candlewick_producer_feed_errors_total{kind="invalid-symbol"} 1')
    expect(metrics).toContain('candlewick_producer_feed_errors_total{kind="too-many-symbols"} 2')
    expect(metrics).toContain('candlewick_producer_feed_errors_total{kind="other"} 1')
  })
})

describe('a lost connection', () => {
  it('is opened again after a wait, with all symbols, and told with its last sign of life', async () => {
    const { feed, events, clock, registry, waiting } = await connected()
    clock.advance(2_000)
    feed.send(tradeFrame(1))
    await until(() => expect(events.trades.length).toBe(1))
    const lastHeardAtMs = clock.nowMs()
    clock.advance(3_000)
    feed.latest.close(1001, 'going away')
    expect(await waiting()).toBe(1_000)
    expect(events.disconnections).toEqual([
      { cause: 'disconnected', detail: 'closed with code 1001 (going away)', lastHeardAtMs },
    ])
    clock.advance(1_000)
    await until(() => expect(feed.received[1]?.length).toBe(2))
    expect(events.connections).toBe(2)
    expect(await registry.metrics()).toContain('candlewick_producer_reconnects_total 1')
  })

  it('makes the waits longer until a connection has lasted a minute', async () => {
    const { feed, events, clock, waiting } = await connected()
    for (const expected of [1_000, 2_000, 4_000, 8_000]) {
      feed.latest.terminate()
      expect(await waiting()).toBe(expected)
      clock.advance(expected)
      const connections = events.connections + 1
      await until(() => expect(events.connections).toBe(connections))
    }
    clock.advance(60_000)
    feed.latest.terminate()
    expect(await waiting()).toBe(1_000)
  })

  it('is noticed by its silence after 150 s; a ping a minute is no silence', async () => {
    const { feed, events, clock, waiting } = await connected()
    for (let minute = 0; minute < 5; minute++) {
      clock.advance(60_000)
      feed.send({ type: 'ping' })
      feed.send(tradeFrame(1))
      await until(() => expect(events.trades.length).toBe(minute + 1))
    }
    const lastHeardAtMs = clock.nowMs()
    clock.advance(149_999)
    expect(events.disconnections).toEqual([])
    clock.advance(1)
    await until(() => expect(events.disconnections).toMatchObject([{ cause: 'silence', lastHeardAtMs }]))
    clock.advance(await waiting())
    await until(() => expect(events.connections).toBe(2))
  })

  it('is never replaced before it is closed: one socket ever', async () => {
    const { feed, events, clock, waiting } = await connected()
    for (let i = 0; i < 10; i++) {
      // By turns the peer cuts, closes, or falls silent without closing.
      if (i % 3 === 0) feed.latest.terminate()
      else if (i % 3 === 1) feed.latest.close()
      else clock.advance(150_000)
      clock.advance(await waiting())
      await until(() => expect(events.connections).toBe(i + 2))
    }
    expect([feed.sockets.length, sockets.opened, sockets.mostOpen]).toEqual([11, 11, 1])
  })
})

describe('a handshake that is refused', () => {
  it('with 401 at the very first ends it all, with one clear sentence and without the key', async () => {
    const { feed, url } = await startFeed()
    feed.answer = { status: 401 }
    const { events, clock, logged } = startSource(url)
    await until(() => expect(events.fatal.length).toBe(1))
    expect(events.fatal[0]!.message).toMatch(
      /^ws:\/\/127\.0\.0\.1:\d+\/ refused the key \(HTTP 401\): FINNHUB_API_KEY is wrong$/,
    )
    expect(clock.pendingMs).toEqual([])
    expect(feed.requests.length).toBe(1)
    expect(logged.text()).not.toContain(KEY)
  })

  it('with 401 later is tried again, slowly', async () => {
    const { feed, events, clock, logged, waiting } = await connected()
    feed.answer = { status: 401 }
    feed.latest.terminate()
    clock.advance(await waiting())
    await until(() => expect(feed.requests.length).toBe(2))
    expect(await waiting()).toBe(300_000)
    expect(events.fatal).toEqual([])
    expect(logged.of('cannot connect')).toMatchObject([{ fields: { cause: 'the key was refused (HTTP 401)' } }])
    feed.answer = 'accept'
    clock.advance(300_000)
    await until(() => expect(events.connections).toBe(2))
  })

  it('with 429 is tried again when Retry-After says so, not before', async () => {
    const { feed, url } = await startFeed()
    feed.answer = { status: 429, headers: 'Retry-After: 120\r\n' }
    const { events, clock, registry, waiting } = startSource(url, { chance: () => 0 })
    expect(await waiting()).toBe(120_000)
    feed.answer = 'accept'
    clock.advance(119_999)
    expect(feed.requests.length).toBe(1)
    clock.advance(1)
    await until(() => expect(events.connections).toBe(1))
    expect(await registry.metrics()).toContain('candlewick_producer_handshakes_refused_total{status="429"} 1')
  })

  it.each([200, 502])('with %i is tried again', async (status) => {
    const { feed, url } = await startFeed()
    feed.answer = { status }
    const { events, clock, waiting } = startSource(url)
    for (const expected of [1_000, 2_000]) {
      expect(await waiting()).toBe(expected)
      clock.advance(expected)
    }
    await until(() => expect(feed.requests.length).toBe(3))
    feed.answer = 'accept'
    clock.advance(await waiting())
    await until(() => expect(events.connections).toBe(1))
    expect(events.disconnections).toEqual([])
  })

  it('by nobody answering is given up after the time limit and tried again', async () => {
    const { feed, url } = await startFeed()
    feed.answer = 'ignore'
    const { events, clock, waiting } = startSource(url, { limits: { handshakeTimeoutMs: 50 } })
    const delayMs = await waiting()
    feed.answer = 'accept'
    clock.advance(delayMs)
    await until(() => expect(events.connections).toBe(1))
  })

  it('by nobody listening is tried again, and the key is in no log', async () => {
    const { feed, url } = await startFeed()
    await feed.close()
    open.pop()
    const { logged, waiting } = startSource(url)
    expect(await waiting()).toBe(1_000)
    expect(logged.of('cannot connect')).toMatchObject([{ fields: { feed: `${url}/`, retryInMs: 1_000 } }])
    expect(logged.text()).not.toContain(KEY)
  })
})

describe('a paused source', () => {
  it('does not read: the peer is held back, and everything comes after resume', async () => {
    const { feed, source, events } = await connected()
    source.pause()
    const padding = 'x'.repeat(1_000)
    let sent = 0
    // What a kernel takes for a reader that does not read is bounded; then it piles up at the sender.
    await vi.waitUntil(
      () => {
        for (let i = 0; i < 1_000; i++) feed.send({ ...tradeFrame(++sent), padding })
        return feed.latest.bufferedAmount > 4_000_000
      },
      { timeout: 10_000, interval: 5 },
    )
    expect(events.trades.length).toBeLessThan(100)
    source.resume()
    await until(() => expect(events.trades.length).toBe(sent))
    expect(events.trades.map(({ price }) => price)).toEqual(Array.from({ length: sent }, (_, i) => i + 1))
    expect(events.disconnections).toEqual([])
  })

  it('is not taken for silent: it is we who do not read', async () => {
    const { feed, source, events, clock } = await connected()
    source.pause()
    clock.advance(600_000)
    source.resume()
    feed.send(tradeFrame(1))
    await until(() => expect(events.trades.length).toBe(1))
    expect(events.disconnections).toEqual([])
    clock.advance(150_000)
    await until(() => expect(events.disconnections).toMatchObject([{ cause: 'silence' }]))
  })

  it('stays paused over a reconnect', async () => {
    const { feed, source, events, clock, waiting } = await connected()
    feed.latest.terminate()
    const delayMs = await waiting()
    source.pause()
    clock.advance(delayMs)
    await until(() => expect(feed.received[1]?.length).toBe(2))
    const pad = 'x'.repeat(200_000)
    let sent = 0
    await vi.waitUntil(
      () => {
        feed.send({ ...tradeFrame(++sent), pad })
        return feed.latest.bufferedAmount > 4_000_000
      },
      { timeout: 20_000, interval: 5 },
    )
    expect(events.trades.length).toBe(0)
    source.resume()
    await until(() => expect(events.trades.length).toBe(sent))
  })

  it('that was cut off meanwhile counts the gap from the beginning of the pause', async () => {
    const { feed, source, events, clock } = await connected()
    clock.advance(5_000)
    feed.send(tradeFrame(1))
    await until(() => expect(events.trades.length).toBe(1))
    const lastHeardAtMs = clock.nowMs()
    source.pause()
    feed.send(tradeFrame(2))
    feed.latest.close()
    clock.advance(30_000)
    source.resume()
    await until(() => expect(events.disconnections).toMatchObject([{ lastHeardAtMs }]))
    expect(events.trades.length).toBe(2)
  })
})

describe('a stopped source', () => {
  it.each(['connected', 'waiting', 'connecting', 'paused'])(
    'while %s leaves nothing open and tells nothing more',
    async (state) => {
      const { feed, source, events, clock, waiting } = await connected()
      if (state === 'paused') source.pause()
      if (state === 'waiting' || state === 'connecting') {
        feed.answer = 'ignore'
        feed.latest.terminate()
        const delayMs = await waiting()
        if (state === 'connecting') {
          clock.advance(delayMs)
          await until(() => expect(feed.requests.length).toBe(2))
        }
      }
      const { disconnections } = events
      const told = disconnections.length
      await source.stop()
      expect(clock.pendingMs).toEqual([])
      expect(disconnections.length).toBe(told)
      if (state !== 'waiting' && state !== 'connecting') {
        await until(() => expect(feed.latest.readyState).toBe(feed.latest.CLOSED))
      }
    },
  )

  it('ends within a second even when the peer does not answer the close', async () => {
    const { feed, source, clock } = await connected()
    feed.latest.pause()
    const stopped = source.stop()
    await until(() => expect(clock.pendingMs).toContain(1_000))
    clock.advance(1_000)
    await stopped
  })
})
