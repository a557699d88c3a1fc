import { tradeCodec } from '@candlewick/schemas/codecs'
import { readDeadLetter } from '@candlewick/streams/kafka/dead-letter'
import { Registry } from 'prom-client'
import { describe, expect, it, vi } from 'vitest'
import { GapLog } from './gaps.js'
import { ProducerMetrics } from './metrics.js'
import { Pipeline, type RecordSink } from './pipeline.js'
import { ManualClock } from './testing/manual-clock.js'
import { recordLog } from './testing/recorded-log.js'
import type { TradeBatch, TradeSource, UncheckedTrade } from './trade-source.js'

const NOW_MS = 1_760_000_000_000

interface Sent {
  topic: string
  key: string | null
  value: Buffer
  headers: { key: string; value: Buffer | null }[]
}

/** A sink with room for so many bytes, which a test empties. */
class MemorySink implements RecordSink {
  readonly sent: Sent[] = []
  bufferedBytes = 0
  mostBuffered = 0
  #waiters: { bytes: number; resolve(): void }[] = []

  constructor(private readonly capacity: number) {}

  send(
    topic: string,
    _partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    _timestampMs: number,
    headers: readonly { key: string; value: Buffer | null }[] = [],
  ): boolean {
    if (this.bufferedBytes + value!.length > this.capacity) return false
    this.bufferedBytes += value!.length
    this.mostBuffered = Math.max(this.mostBuffered, this.bufferedBytes)
    this.sent.push({ topic, key: key?.toString() ?? null, value: value!, headers: [...headers] })
    return true
  }

  async whenBelow(bytes: number): Promise<void> {
    if (this.bufferedBytes > bytes) await new Promise<void>((resolve) => this.#waiters.push({ bytes, resolve }))
  }

  async flush(): Promise<void> {
    await this.whenBelow(0)
  }

  /** Kafka takes everything that is held. */
  deliver(): void {
    this.bufferedBytes = 0
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }
}

class StillSource implements TradeSource {
  readonly name = 'finnhub'
  readonly live = true
  paused = 0
  resumed = 0
  stopped = false
  start(): void {}
  async stop(): Promise<void> {
    this.stopped = true
  }
  pause(): void {
    this.paused++
  }
  resume(): void {
    this.resumed++
  }
}

function create({ sinkBytes = 1_000_000, reserveBytes = 10_000 } = {}) {
  const sink = new MemorySink(sinkBytes)
  const source = new StillSource()
  const clock = new ManualClock(NOW_MS)
  const registry = new Registry()
  const gaps = new GapLog({ onBegin: () => {}, onEnd: () => {} })
  const logged = recordLog()
  const fatal: Error[] = []
  const pipeline: Pipeline = new Pipeline({
    source,
    sink,
    encode: (trade) => tradeCodec.encode(trade),
    topics: { trades: 'trades', deadLetters: 'trades.dlq' },
    sinkBytes,
    reserveBytes,
    gaps,
    metrics: new ProducerMetrics(registry, () => pipeline.heldBytes),
    log: logged.log,
    clock,
    onFatal: (error) => fatal.push(error),
  })
  return { pipeline, sink, source, clock, registry, gaps, logged, fatal }
}

const trade = (change: object = {}): UncheckedTrade => ({
  ...{ symbol: 'AAPL', price: 190, volume: 1, timestamp: NOW_MS, conditions: null },
  ...change,
})

function batch(trades: readonly UncheckedTrade[], sizeBytes = 100): TradeBatch {
  return { trades, sizeBytes, receivedAtMs: NOW_MS, rawOf: (i) => Buffer.from(`raw ${i}`) }
}

const prices = (sink: MemorySink) =>
  sink.sent.filter(({ topic }) => topic === 'trades').map(({ value }) => tradeCodec.decode(value).price)

describe('a frame on its way to Kafka', () => {
  it('becomes one record per trade, keyed by its symbol, in its order', () => {
    const { pipeline, sink } = create()
    pipeline.onTrades(
      batch([trade(), trade({ symbol: 'IC MARKETS:1', volume: 0 }), trade({ conditions: ['1', '12'] })]),
    )
    expect(sink.sent.map(({ topic, key }) => [topic, key])).toEqual([
      ['trades', 'AAPL'],
      ['trades', 'IC MARKETS:1'],
      ['trades', 'AAPL'],
    ])
    expect(tradeCodec.decode(sink.sent[2]!.value)).toEqual({
      ...{ symbol: 'AAPL', price: 190, volume: 1, timestamp: NOW_MS, receivedAt: NOW_MS },
      ...{ source: 'finnhub', conditions: ['1', '12'] },
    })
  })

  it('loses only its bad trades, which go to the dead letters with their bytes, reason and time', async () => {
    const { pipeline, sink, registry } = create()
    pipeline.onTrades(batch([trade({ price: 1 }), trade({ price: -1 }), trade({ symbol: '' }), trade({ price: 2 })]))
    expect(prices(sink)).toEqual([1, 2])
    const letters = sink.sent.filter(({ topic }) => topic === 'trades.dlq')
    expect(letters.map(({ key, value }) => [key, value.toString()])).toEqual([
      ['AAPL', 'raw 1'],
      [null, 'raw 2'],
    ])
    expect(letters.map(({ headers }) => readDeadLetter(headers))).toMatchObject([
      { exception: 'price', message: expect.stringContaining('price') as string, timeMs: NOW_MS },
      { exception: 'symbol', timeMs: NOW_MS },
    ])
    const metrics = await registry.metrics()
    expect(metrics).toContain('candlewick_producer_rejected_total{reason="price"} 1')
    expect(metrics).toContain('candlewick_producer_trades_total{source="finnhub"} 2')
  })

  it('goes to the dead letters as a whole when it cannot be read', () => {
    const { pipeline, sink } = create()
    const raw = Buffer.from([0xff, 0x00])
    pipeline.onRejected({ raw, reason: 'not-utf8', detail: 'the frame is not UTF-8 text', receivedAtMs: NOW_MS })
    expect(sink.sent).toMatchObject([{ topic: 'trades.dlq', key: null, value: raw }])
    expect(readDeadLetter(sink.sent[0]!.headers)).toMatchObject({ exception: 'not-utf8' })
  })

  it('is cut when it is larger than a record can be, and the dead letter says how large it was', () => {
    const { pipeline, sink } = create({ sinkBytes: 10_000_000 })
    const raw = Buffer.alloc(3_000_000, 'x')
    pipeline.onRejected({ raw, reason: 'not-json', detail: '', receivedAtMs: NOW_MS })
    expect(sink.sent[0]!.value.equals(raw.subarray(0, 900_000))).toBe(true)
    expect(sink.sent[0]!.headers).toContainEqual({
      key: '__streams.errors.original.value.bytes',
      value: Buffer.from('3000000'),
    })
  })
})

describe('while Kafka is away', () => {
  /** Fills the sink with trades priced 1, 2, 3, ...; returns how many it took. */
  function fill(pipeline: Pipeline, source: StillSource): number {
    let count = 0
    while (source.paused === 0) pipeline.onTrades(batch([trade({ price: ++count })]))
    return count
  }

  it('the feed is paused when the buffer is full, which is told once, and read again when there is room', async () => {
    const { pipeline, sink, source, clock, logged } = create({ sinkBytes: 5_000 })
    const count = fill(pipeline, source)
    expect(pipeline.isStalled).toBe(true)
    expect([source.paused, source.resumed]).toEqual([1, 0])
    expect(logged.of('the feed is not read').length).toBe(1)
    pipeline.onTrades(batch([trade({ price: count + 1 })]))
    clock.advance(20_000)
    sink.deliver()
    await vi.waitFor(() => expect(source.resumed).toBe(1))
    expect(source.paused).toBe(1)
    expect(prices(sink)).toEqual(Array.from({ length: count + 1 }, (_, i) => i + 1))
    expect(pipeline.heldBytes).toBe(sink.bufferedBytes)
    expect(logged.of('the feed is read again')).toMatchObject([{ fields: { pausedMs: 20_000 } }])
  })

  it('a frame that fits in part goes on with its very next trade', async () => {
    const { pipeline, sink, source } = create({ sinkBytes: 400 })
    const trades = Array.from({ length: 40 }, (_, i) => trade({ price: i % 10 === 9 ? -1 : i + 1 }))
    pipeline.onTrades(batch(trades))
    while (source.resumed === 0) {
      sink.deliver()
      await Promise.resolve()
    }
    expect(prices(sink)).toEqual(trades.map(({ price }) => price).filter((price) => price !== -1))
    expect(sink.sent.filter(({ topic }) => topic === 'trades.dlq').map(({ value }) => value.toString())).toEqual([
      ...['raw 9', 'raw 19', 'raw 29', 'raw 39'],
    ])
    expect(sink.mostBuffered).toBeLessThanOrEqual(400)
  })

  it('no trade overtakes another, rejected ones included', async () => {
    const { pipeline, sink, source } = create({ sinkBytes: 2_000 })
    const count = fill(pipeline, source)
    pipeline.onRejected({ raw: Buffer.from('garbage'), reason: 'not-json', detail: '', receivedAtMs: NOW_MS })
    sink.bufferedBytes = 0 // Room again, but those who wait come first.
    pipeline.onTrades(batch([trade({ price: count + 1 })]))
    sink.deliver()
    await vi.waitFor(() => expect(source.resumed).toBe(1))
    expect(sink.sent.slice(-3).map(({ topic }) => topic)).toEqual(['trades', 'trades.dlq', 'trades'])
    expect(prices(sink).at(-1)).toBe(count + 1)
  })

  it('what comes past the reserve is lost, counted, told once and shown as a gap with its times', async () => {
    const { pipeline, sink, source, clock, registry, gaps, logged } = create({ sinkBytes: 2_000, reserveBytes: 1_000 })
    const count = fill(pipeline, source)
    for (let i = 0; i < 50; i++) pipeline.onTrades(batch([trade({ price: count + 1 + i }), trade({ price: 1e6 })]))
    // The frame that found the sink full and 9 more of 100 bytes fit into the reserve.
    expect(await registry.metrics()).toContain('candlewick_producer_undelivered_total{reason="overflow"} 82')
    expect(gaps.list()).toMatchObject([{ cause: 'overflow', from: NOW_MS, to: null }])
    expect(logged.of('trades are lost').length).toBe(1)
    expect(pipeline.heldBytes).toBeLessThanOrEqual(3_000)
    clock.advance(4_000)
    sink.deliver()
    await vi.waitFor(() => expect(source.resumed).toBe(1))
    expect(gaps.list()).toMatchObject([{ cause: 'overflow', from: NOW_MS, to: NOW_MS + 4_000 }])
  })

  it('closing gives it the time it has, then says what is left', async () => {
    const { pipeline, source, clock } = create({ sinkBytes: 2_000 })
    fill(pipeline, source)
    const closed = pipeline.close(10_000)
    await vi.waitFor(() => expect(clock.pendingMs).toEqual([10_000]))
    expect(source.stopped).toBe(true)
    clock.advance(10_000)
    expect(await closed).toBe(pipeline.heldBytes)
    expect(pipeline.heldBytes).toBeGreaterThan(1_900)
  })
})

it('closing waits until Kafka has everything', async () => {
  const { pipeline, sink, clock } = create()
  pipeline.onTrades(batch([trade(), trade()]))
  const closed = pipeline.close(10_000)
  await vi.waitFor(() => expect(clock.pendingMs).toEqual([10_000]))
  sink.deliver()
  expect(await closed).toBe(0)
  expect(clock.pendingMs).toEqual([])
})

describe('a gap of the feed', () => {
  it('lasts from its last sign of life to the next connection', () => {
    const { pipeline, gaps, clock } = create()
    pipeline.onConnected()
    expect([pipeline.isConnected, gaps.list()]).toEqual([true, []])
    pipeline.onDisconnected('disconnected', 'closed with code 1006', NOW_MS - 500)
    expect(pipeline.isConnected).toBe(false)
    clock.advance(7_000)
    pipeline.onConnected()
    expect(gaps.list()).toEqual([
      { cause: 'disconnected', detail: 'closed with code 1006', from: NOW_MS - 500, to: NOW_MS + 7_000 },
    ])
  })
})

it('the age of the last trade is told, before the first one the time since the start', async () => {
  const registry = new Registry()
  let nowMs = NOW_MS
  const metrics = new ProducerMetrics(
    registry,
    () => 7,
    () => nowMs,
  )
  nowMs += 400_000
  expect(await registry.metrics()).toContain('candlewick_producer_last_trade_age_seconds 400')
  metrics.tradeArrived(nowMs)
  nowMs += 1_500
  expect(await registry.metrics()).toContain('candlewick_producer_last_trade_age_seconds 1.5')
  expect(await registry.metrics()).toContain('candlewick_producer_buffered_bytes 7')
})
