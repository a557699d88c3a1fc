import type { Logger } from '@candlewick/service/logger'
import { systemClock, type Clock } from '../clock.js'
import type { ProducerMetrics } from '../metrics.js'
import type { GapCause, TradeSource, TradeSourceEvents } from '../trade-source.js'
import { retryDelayMs, STABLE_AFTER_MS, type Ending } from './backoff.js'
import { Connection, type ConnectionLimits } from './connection.js'
import type { Endpoint } from './endpoint.js'
import { readError, readFrame, subscribeFrame } from './protocol.js'
import { RawElements } from './raw-elements.js'

/** The feed has refused the key and has never taken it: waiting would not help. */
export class KeyRefusedError extends Error {
  readonly code = 'KEY_REFUSED'
  constructor(shownUrl: string) {
    super(`${shownUrl} refused the key (HTTP 401): FINNHUB_API_KEY is wrong`)
    this.name = 'KeyRefusedError'
  }
}

export interface FinnhubOptions {
  endpoint: Endpoint
  symbols: readonly string[]
  log: Logger
  metrics: ProducerMetrics
  limits?: Partial<ConnectionLimits>
  clock?: Clock
  /** From 0 to 1: the jitter of the waits. */
  chance?: () => number
}

const LIMITS: ConnectionLimits = { handshakeTimeoutMs: 10_000, silenceMs: 150_000, maxFrameBytes: 4 * 1024 * 1024 }
/** Different texts of error frames that are logged per connection; all are counted. */
const MAX_LOGGED_ERRORS = 100
const MAX_LOGGED_LENGTH = 300

/**
 * Trades from Finnhub's WebSocket (or whatever speaks its protocol). One connection at a time: Finnhub closes a second
 * one of the same key, so the next is opened only when the last one is closed for good.
 */
export class FinnhubSource implements TradeSource {
  readonly name = 'finnhub'
  readonly live = true
  readonly #options: FinnhubOptions
  readonly #clock: Clock
  #connection: Connection | undefined
  #paused = false
  #stopped = false
  #wakeUp = () => {}
  #running: Promise<void> | undefined

  constructor(options: FinnhubOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  start(events: TradeSourceEvents): void {
    this.#running ??= this.#run(events)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp()
    await this.#connection?.close()
    await this.#running
  }

  pause(): void {
    this.#paused = true
    this.#connection?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#connection?.resume()
  }

  async #run(events: TradeSourceEvents): Promise<void> {
    const { endpoint, log, metrics, chance = Math.random } = this.#options
    let accepted = false
    let failures = 0
    while (!this.#stopped) {
      const connection = this.#connect(events, accepted)
      const ending = await connection.ended
      this.#connection = undefined
      if (this.#stopped) return

      const { openedAtMs } = connection
      if (openedAtMs !== undefined) {
        accepted = true
        events.onDisconnected(causeOf(ending), describe(ending), connection.lastHeardAtMs())
      }
      if (ending.kind === 'refused') metrics.refused.inc({ status: String(ending.status) })
      if (ending.kind === 'refused' && ending.status === 401 && !accepted) {
        return events.onFatal(new KeyRefusedError(endpoint.shown))
      }
      const stable = openedAtMs !== undefined && this.#clock.nowMs() - openedAtMs >= STABLE_AFTER_MS
      failures = stable ? 1 : failures + 1
      const delayMs = retryDelayMs(ending, failures, chance())
      log.warn(
        { feed: endpoint.shown, cause: describe(ending), retryInMs: Math.round(delayMs), failures },
        openedAtMs === undefined ? 'cannot connect to the feed' : 'the connection to the feed is lost',
      )
      await this.#wait(delayMs)
    }
  }

  #connect(events: TradeSourceEvents, again: boolean): Connection {
    const { endpoint, symbols, log, metrics, limits } = this.#options
    const loggedErrors = new Set<string>()
    const connection = new Connection(
      endpoint,
      this.#clock,
      { ...LIMITS, ...limits },
      {
        onOpen: () => {
          if (this.#stopped) return
          for (const symbol of symbols) connection.send(subscribeFrame(symbol))
          if (again) metrics.reconnects.inc()
          log.info({ feed: endpoint.shown, symbols: symbols.length }, 'connected to the feed')
          events.onConnected()
        },
        onMessage: (raw) => {
          if (!this.#stopped) this.#receive(raw, events, loggedErrors)
        },
      },
    )
    this.#connection = connection
    if (this.#paused) connection.pause()
    return connection
  }

  #receive(raw: Buffer, events: TradeSourceEvents, loggedErrors: Set<string>): void {
    const { metrics } = this.#options
    const receivedAtMs = this.#clock.nowMs()
    const frame = readFrame(raw)
    metrics.frames.inc({ type: frame.kind })
    switch (frame.kind) {
      case 'trades': {
        const { trades } = frame
        const elements = new RawElements(raw)
        return events.onTrades({
          trades,
          receivedAtMs,
          sizeBytes: raw.length,
          rawOf: (index) => elements.at(index) ?? raw,
        })
      }
      case 'ping':
        return
      case 'error':
        return this.#complain(frame.message, loggedErrors)
      case 'rejected':
        return events.onRejected({ raw, reason: frame.reason, detail: frame.detail, receivedAtMs })
    }
  }

  #complain(message: string, loggedErrors: Set<string>): void {
    const { endpoint, symbols, log, metrics } = this.#options
    const error = readError(message, symbols)
    metrics.feedErrors.inc({ kind: error.kind })
    const feedSays = endpoint.redact(message).slice(0, MAX_LOGGED_LENGTH)
    if (loggedErrors.has(feedSays) || loggedErrors.size >= MAX_LOGGED_ERRORS) return
    loggedErrors.add(feedSays)
    log.warn({ kind: error.kind, symbols: error.symbols, feedSays }, 'the feed reports an error')
  }

  async #wait(delayMs: number): Promise<void> {
    if (this.#stopped) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(delayMs, resolve)
      this.#wakeUp = () => {
        cancel()
        resolve()
      }
    })
  }
}

function causeOf(ending: Ending): GapCause {
  return ending.kind === 'silent' ? 'silence' : 'disconnected'
}

function describe(ending: Ending): string {
  if (ending.kind !== 'refused') return ending.detail
  if (ending.status === 401) return 'the key was refused (HTTP 401)'
  if (ending.status === 429) return 'too many requests or connections (HTTP 429)'
  return `the handshake was answered with HTTP ${ending.status}`
}
