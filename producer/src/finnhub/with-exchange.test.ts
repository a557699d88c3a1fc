// The one import against the arrows: this adapter is what the simulated exchange was made to be talked to by.
import { Exchange } from '@candlewick/dev/exchange/exchange'
import { SimulatedFeed } from '@candlewick/dev/exchange/simulated-feed'
import { createLogger } from '@candlewick/service/logger'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ProducerMetrics } from '../metrics.js'
import { RecordedEvents } from '../testing/recorded-events.js'
import { recordLog } from '../testing/recorded-log.js'
import { validateTrade } from '../validate.js'
import { Endpoint } from './endpoint.js'
import { FinnhubSource, type FinnhubOptions } from './source.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const open: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function startExchange(total = 0) {
  const feed = new SimulatedFeed({ seed: '1', symbols: 50, tradesPerSecond: 3_000, total })
  const exchange = new Exchange(feed, createLogger('exchange', 'silent'))
  open.push(() => exchange.close())
  return { exchange, url: await exchange.start({ host: '127.0.0.1', port: 0 }) }
}

function startSource(url: string, options: Partial<FinnhubOptions> = {}) {
  const events = new RecordedEvents()
  const logged = recordLog()
  const metrics = new ProducerMetrics(new Registry(), () => 0)
  const source = new FinnhubSource({
    ...{ endpoint: new Endpoint(url, 'key'), symbols: ['AAPL', 'MSFT', 'BINANCE:BTCUSDT', 'OANDA:EUR_USD'] },
    ...{ log: logged.log, metrics, chance: () => 0.01 },
    ...options,
  })
  open.push(() => source.stop())
  source.start(events)
  return { source, events, logged }
}

describe('the adapter at the simulated exchange', () => {
  it('gets every trade of its symbols, each of them valid', async () => {
    const { exchange, url } = await startExchange(2_000)
    const { events } = startSource(url)
    await until(() => expect(events.trades.length).toBe(2_000))
    expect(exchange.status()).toMatchObject({ sent: 2_000, done: true })
    const context = { source: 'finnhub', receivedAtMs: Date.now() }
    expect(events.trades.map((trade) => validateTrade(trade, context)).filter(({ kind }) => kind !== 'valid')).toEqual(
      [],
    )
    expect(events.trades.some(({ volume }) => volume === 0)).toBe(true)
    expect(events.trades.some(({ conditions }) => conditions === undefined)).toBe(true)
    expect(events.trades.some(({ conditions }) => conditions === null)).toBe(true)
  })

  it('names an invalid symbol and goes on with the others', async () => {
    const { url } = await startExchange()
    const { events, logged } = startSource(url, { symbols: ['NOSUCH', 'AAPL'] })
    await until(() => expect(events.trades.length).toBeGreaterThan(0))
    expect(logged.of('reports an error')).toMatchObject([
      { fields: { kind: 'invalid-symbol', symbols: ['NOSUCH'], feedSays: 'Invalid symbol NOSUCH' } },
    ])
  })

  it('comes back after drops and after silence, on one connection at a time', async () => {
    const { exchange, url } = await startExchange()
    const { events } = startSource(url, { limits: { silenceMs: 300 } })
    for (const [fault, cause] of [
      [{ kind: 'drop', seconds: 0 }, 'disconnected'],
      [{ kind: 'silence', seconds: 0.5 }, 'silence'],
      [{ kind: 'drop', seconds: 0.1 }, 'disconnected'],
    ] as const) {
      await until(() => expect(events.trades.length).toBeGreaterThan(0))
      events.batches.length = events.disconnections.length = 0
      exchange.fault(fault)
      await until(() => expect(events.disconnections[0]?.cause).toBe(cause))
      events.batches.length = 0
    }
    await until(() => expect(events.trades.length).toBeGreaterThan(0))
    expect(exchange.status().clients.length).toBe(1)
    expect(events.disconnections.map(({ detail }) => detail).join()).not.toContain('one connection per key')
  })

  it('rejects garbage with the bytes that were sent', async () => {
    const { exchange, url } = await startExchange()
    const { events } = startSource(url)
    await until(() => expect(events.trades.length).toBeGreaterThan(0))
    const frames = [Buffer.from('garbage'), Buffer.from([0xff, 0xfe])]
    exchange.fault({ kind: 'garbage', frames })
    await until(() => expect(events.rejected.map(({ raw }) => raw)).toEqual(frames))
  })

  it('is told at once that its key is wrong', async () => {
    const { exchange, url } = await startExchange()
    exchange.fault({ kind: 'refuse', status: 401, seconds: 60 })
    const { events } = startSource(url)
    await until(() => expect(events.fatal).toMatchObject([{ code: 'KEY_REFUSED' }]))
  })
})
