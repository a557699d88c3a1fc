import { deadLetterRecord } from '@candlewick/streams/kafka/dead-letter'
import type { Trade } from '@candlewick/schemas/types'
import type { Logger } from '@candlewick/service/logger'
import { systemClock, type Clock } from './clock.js'
import type { GapLog } from './gaps.js'
import type { ProducerMetrics } from './metrics.js'
import type { GapCause, RejectedMessage, TradeBatch, TradeSource, TradeSourceEvents } from './trade-source.js'
import { validateTrade } from './validate.js'

/** The part of the idempotent producer that the pipeline uses. */
export interface RecordSink {
  /** @returns false when the buffer is full and the record was NOT taken */
  send(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    timestampMs: number,
    headers?: readonly { key: string; value: Buffer | null }[],
  ): boolean
  readonly bufferedBytes: number
  whenBelow(bytes: number): Promise<void>
  flush(): Promise<void>
}

export interface PipelineOptions {
  source: TradeSource
  sink: RecordSink
  encode(trade: Trade): Buffer
  topics: { trades: string; deadLetters: string }
  /** What the sink holds at most. Reading goes on when it is down to three quarters of this. */
  sinkBytes: number
  /** What the source may still give after it was told to pause; beyond this it is lost, and that is a gap. */
  reserveBytes: number
  gaps: GapLog
  metrics: ProducerMetrics
  log: Logger
  clock?: Clock
  /** The source has given all it has and Kafka has all of it. */
  onEnd?(): void
  onFatal(error: Error): void
}

type Waiting =
  | { readonly kind: 'batch'; readonly batch: TradeBatch; readonly next: number }
  | { readonly kind: 'rejected'; readonly message: RejectedMessage }

const MAX_CACHED_KEYS = 10_000
/** A buffer that fills again and again (a slow Kafka) is told once in this time. */
const TELL_AGAIN_AFTER_MS = 60_000

/**
 * From a source to Kafka: validate, encode, hand over; what is invalid goes to the dead letters with its bytes as they came.
 * A message is handed over as a whole, in its order. When the sink is full the source is paused and what it had read
 * already waits here, bounded by `reserveBytes`, until there is room.
 */
export class Pipeline implements TradeSourceEvents {
  /** Records handed to the sink, dead letters included. */
  acceptedRecords = 0
  #connected = false
  #stalled = false
  #overflowing = false
  #toldAtMs = -Infinity
  #ended = false
  #closing = false
  #waiting: Waiting[] = []
  #waitingBytes = 0
  readonly #keys = new Map<string, Buffer>()
  readonly #options: PipelineOptions
  readonly #clock: Clock

  constructor(options: PipelineOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  start(): void {
    this.#options.source.start(this)
  }

  get isConnected(): boolean {
    return this.#connected
  }

  get isStalled(): boolean {
    return this.#stalled
  }

  /** Bytes held here and in the sink. */
  get heldBytes(): number {
    return this.#options.sink.bufferedBytes + this.#waitingBytes
  }

  onTrades(batch: TradeBatch): void {
    this.#options.metrics.tradeArrived(batch.receivedAtMs)
    this.#take({ kind: 'batch', batch, next: 0 })
  }

  onRejected(message: RejectedMessage): void {
    this.#take({ kind: 'rejected', message })
  }

  onConnected(): void {
    this.#connected = true
    this.#options.metrics.connected.set(1)
    this.#options.gaps.end('feed', this.#clock.nowMs())
    this.#options.gaps.end('restart', this.#clock.nowMs())
  }

  onDisconnected(cause: GapCause, detail: string, lastHeardAtMs: number): void {
    this.#connected = false
    this.#options.metrics.connected.set(0)
    this.#options.gaps.begin('feed', cause, detail, lastHeardAtMs)
  }

  onEnd(): void {
    this.#ended = true
    if (!this.#stalled) this.#finish()
  }

  onFatal(error: Error): void {
    this.#options.onFatal(error)
  }

  /**
   * Stops reading and gives Kafka what is held.
   * @returns what was left undelivered when the time was over, in bytes; 0 = nothing
   */
  async close(timeoutMs: number): Promise<number> {
    const { source, sink } = this.#options
    this.#closing = true
    await source.stop()
    if (this.heldBytes === 0) return 0
    let isLate = false
    let cancel = () => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(timeoutMs, () => {
        isLate = true
        resolve()
      })
    })
    const drained = async () => {
      while (this.#waiting.length > 0 && !isLate) {
        await sink.whenBelow(this.#resumeBelow)
        this.#drain()
      }
      await sink.flush()
    }
    await Promise.race([drained().catch(() => {}), late])
    cancel()
    return this.heldBytes
  }

  #take(item: Waiting): void {
    if (this.#waiting.length === 0) {
      const rest = this.#hand(item)
      if (!rest) return
      item = rest
    }
    const sizeBytes = sizeOf(item)
    // The message that found the sink full is kept whatever its size: the source bounds it.
    if (this.#waiting.length > 0 && this.#waitingBytes + sizeBytes > this.#options.reserveBytes) return this.#lose(item)
    this.#waiting.push(item)
    this.#waitingBytes += sizeBytes
    if (!this.#stalled) void this.#stall()
  }

  /** Hands an item over. @returns what of it found no room */
  #hand(item: Waiting): Waiting | undefined {
    const { source, sink, encode, topics, metrics } = this.#options
    if (item.kind === 'rejected') {
      const { raw, reason, detail, receivedAtMs } = item.message
      return this.#bury(null, raw, reason, detail, receivedAtMs) ? undefined : item
    }
    const { batch } = item
    const context = { source: source.name, receivedAtMs: batch.receivedAtMs }
    for (let i = item.next; i < batch.trades.length; i++) {
      const unchecked = batch.trades[i]!
      const verdict = validateTrade(unchecked, context)
      if (verdict.kind === 'invalid') {
        const key = verdict.reason === 'symbol' ? null : this.#key(unchecked.symbol as string)
        if (this.#bury(key, batch.rawOf(i), verdict.reason, verdict.detail, batch.receivedAtMs)) continue
        return { kind: 'batch', batch, next: i }
      }
      const { trade } = verdict
      if (!sink.send(topics.trades, null, this.#key(trade.symbol), encode(trade), batch.receivedAtMs)) {
        return { kind: 'batch', batch, next: i }
      }
      this.acceptedRecords++
      metrics.trades.inc({ source: source.name })
    }
    return undefined
  }

  #bury(key: Buffer | null, raw: Buffer, reason: string, detail: string, atMs: number): boolean {
    const { source, sink, topics, metrics } = this.#options
    const letter = deadLetterRecord({ exception: reason, message: detail, timeMs: atMs }, key, raw)
    const headers = [...letter.headers, { key: 'candlewick.source', value: Buffer.from(source.name) }]
    if (!sink.send(topics.deadLetters, null, letter.key, letter.value, atMs, headers)) return false
    this.acceptedRecords++
    metrics.rejected.inc({ reason })
    return true
  }

  /** Keeps the source paused until everything that waits has been handed over and the sink has room again. */
  async #stall(): Promise<void> {
    const { source, sink, metrics, log, onFatal } = this.#options
    this.#stalled = true
    const sinceMs = this.#clock.nowMs()
    source.pause()
    metrics.paused.set(1)
    const tell = source.live && sinceMs - this.#toldAtMs >= TELL_AGAIN_AFTER_MS
    if (tell) {
      this.#toldAtMs = sinceMs
      log.warn(
        { heldBytes: this.heldBytes },
        'Kafka takes nothing and the buffer is full: the feed is not read until there is room',
      )
    }
    try {
      do {
        await sink.whenBelow(this.#resumeBelow)
        this.#drain()
      } while (this.#waiting.length > 0)
    } catch (error) {
      if (!this.#closing) onFatal(error as Error)
      return
    }
    const nowMs = this.#clock.nowMs()
    this.#stalled = false
    if (this.#overflowing) this.#options.gaps.end('overflow', nowMs)
    this.#overflowing = false
    metrics.paused.set(0)
    if (tell) log.info({ pausedMs: nowMs - sinceMs }, 'the feed is read again')
    source.resume()
    if (this.#ended) this.#finish()
  }

  #drain(): void {
    while (this.#waiting.length > 0) {
      const item = this.#waiting[0]!
      const rest = this.#hand(item)
      this.#waitingBytes -= sizeOf(item)
      if (rest) {
        this.#waiting[0] = rest
        this.#waitingBytes += sizeOf(rest)
        return
      }
      this.#waiting.shift()
    }
  }

  /** The source went on after it was told to pause, past what there is room for. */
  #lose(item: Waiting): void {
    const { gaps, metrics, log } = this.#options
    const lost = item.kind === 'batch' ? item.batch.trades.length - item.next : 1
    const atMs = item.kind === 'batch' ? item.batch.receivedAtMs : item.message.receivedAtMs
    metrics.undelivered.inc({ reason: 'overflow' }, lost)
    if (!this.#overflowing) log.error({ heldBytes: this.heldBytes }, 'trades are lost: the buffer is full')
    this.#overflowing = true
    gaps.begin('overflow', 'overflow', 'the buffer was full and the feed did not stop', atMs)
  }

  #finish(): void {
    this.#options.sink.flush().then(
      () => this.#options.onEnd?.(),
      (error: unknown) => this.#options.onFatal(error as Error),
    )
  }

  get #resumeBelow(): number {
    return Math.floor(this.#options.sinkBytes * 0.75)
  }

  #key(symbol: string): Buffer {
    let key = this.#keys.get(symbol)
    if (!key) {
      if (this.#keys.size >= MAX_CACHED_KEYS) this.#keys.clear()
      key = Buffer.from(symbol, 'utf8')
      this.#keys.set(symbol, key)
    }
    return key
  }
}

function sizeOf(item: Waiting): number {
  return item.kind === 'batch' ? item.batch.sizeBytes : item.message.raw.length
}
