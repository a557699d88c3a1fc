import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const PREFIX = 'candlewick_producer_'

/** What the producer tells Prometheus. */
export class ProducerMetrics {
  readonly trades: Counter<'source'>
  readonly delivered: Counter
  readonly rejected: Counter<'reason'>
  readonly undelivered: Counter<'reason'>
  readonly frames: Counter<'type'>
  readonly feedErrors: Counter<'kind'>
  readonly refused: Counter<'status'>
  readonly connected: Gauge
  readonly paused: Gauge
  readonly gaps: Counter<'cause'>
  readonly gapSeconds: Counter<'cause'>
  readonly reconnects: Counter
  readonly deliverySeconds: Histogram
  readonly #lastTradeAge: Gauge
  #lastTradeAtMs: number

  constructor(registry: Registry, heldBytes: () => number, nowMs: () => number = Date.now) {
    const named = (name: string, help: string) => ({ name: PREFIX + name, help, registers: [registry] })
    this.trades = new Counter({ ...named('trades_total', 'Trades handed to Kafka'), labelNames: ['source'] })
    this.delivered = new Counter(named('delivered_total', 'Records Kafka has acknowledged, dead letters included'))
    this.rejected = new Counter({
      ...named('rejected_total', 'Trades and messages that went to the dead letters'),
      labelNames: ['reason'],
    })
    this.undelivered = new Counter({
      ...named('undelivered_total', 'Records lost: the buffer overflowed or Kafka refused them'),
      labelNames: ['reason'],
    })
    // There before the first loss: an increase can only be seen of a series that was there.
    this.undelivered.inc({ reason: 'overflow' }, 0)
    this.frames = new Counter({ ...named('frames_total', 'Messages of the feed'), labelNames: ['type'] })
    this.feedErrors = new Counter({ ...named('feed_errors_total', 'Error frames of the feed'), labelNames: ['kind'] })
    this.refused = new Counter({
      ...named('handshakes_refused_total', 'Handshakes the feed answered with something else than an upgrade'),
      labelNames: ['status'],
    })
    new Gauge({
      ...named('buffered_bytes', 'Bytes held until Kafka has acknowledged them'),
      collect() {
        this.set(heldBytes())
      },
    })
    this.connected = new Gauge(named('connected', '1 while trades can come from the feed'))
    this.paused = new Gauge(named('paused', '1 while the feed is not read because the buffer is full'))
    this.gaps = new Counter({ ...named('gaps_total', 'Spans of time trades may be missing of'), labelNames: ['cause'] })
    this.gapSeconds = new Counter({
      ...named('gap_seconds_total', 'Length of the gaps that have ended'),
      labelNames: ['cause'],
    })
    this.reconnects = new Counter(named('reconnects_total', 'Connections opened after the first one'))
    this.deliverySeconds = new Histogram({
      ...named('delivery_latency_seconds', 'From handing a batch over to its acknowledgement by Kafka'),
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    })
    this.#lastTradeAtMs = nowMs()
    this.#lastTradeAge = new Gauge({
      ...named('last_trade_age_seconds', 'Time since the last trade arrived, or since the start before the first'),
      collect: () => {
        this.#lastTradeAge.set((nowMs() - this.#lastTradeAtMs) / 1000)
      },
    })
  }

  tradeArrived(atMs: number): void {
    this.#lastTradeAtMs = atMs
  }
}
