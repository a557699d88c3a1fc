import type { Audience, Client } from './audience.js'
import type { Feed, FeedStatus } from './feed.js'
import { activity, Market } from './market.js'
import type { WireTrade } from './ticker.js'

export interface SimulatedFeedOptions {
  seed: string
  /** How many symbols are listed. */
  symbols: number
  tradesPerSecond: number
  /** Stops after so many; 0 = never. */
  total: number
}

const TICK_MS = 20
/** After a longer hold-up the missed time is forgotten instead of sent in one go. */
const MAX_STEP_MS = 1_000
const MAX_TRADES_PER_FRAME = 500
/** A client that reads slower than it is sent to is dropped here, as real exchanges do: nothing is held without bound. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024

/** A market made up from a seed. It stands still while nobody listens, so every trade of it is sent to somebody. */
export class SimulatedFeed implements Feed {
  readonly #options: SimulatedFeedOptions
  readonly #market: Market
  #timer: NodeJS.Timeout | undefined
  #sent = 0
  #due = 0
  #lastMs: number | undefined
  #version = -1

  constructor(options: SimulatedFeedOptions) {
    this.#options = options
    this.#market = new Market({ seed: options.seed, symbols: options.symbols })
  }

  has(symbol: string): boolean {
    return this.#market.has(symbol)
  }

  start(audience: Audience): void {
    this.#timer = setInterval(() => this.#tick(audience), TICK_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
  }

  status(): FeedStatus {
    const { total } = this.#options
    return { mode: 'simulated', sent: this.#sent, done: this.#isDone, total: total > 0 ? total : null, skipped: 0 }
  }

  get #isDone(): boolean {
    return this.#options.total > 0 && this.#sent >= this.#options.total
  }

  #tick(audience: Audience): void {
    const nowMs = performance.timeOrigin + performance.now()
    const stepMs = Math.min(nowMs - (this.#lastMs ?? nowMs), MAX_STEP_MS)
    this.#lastMs = nowMs
    if (this.#isDone || !audience.isListening) return
    const clients = audience.clients.filter((client) => client.isListening)
    this.#follow(audience.version, clients)

    this.#due += (this.#options.tradesPerSecond * activity(nowMs) * stepMs) / 1000
    let count = Math.floor(this.#due)
    this.#due -= count
    if (this.#options.total > 0) count = Math.min(count, this.#options.total - this.#sent)
    this.#send(clients, count, nowMs, stepMs)
  }

  #follow(version: number, clients: readonly Client[]): void {
    if (version === this.#version) return
    this.#version = version
    const everything = clients.some((client) => client.everything)
    this.#market.trade(everything ? this.#market.symbols : clients.flatMap((client) => [...client.symbols]))
  }

  #send(clients: readonly Client[], count: number, nowMs: number, stepMs: number): void {
    const trades: WireTrade[] = []
    for (let i = 0; i < count; i++) {
      // The trades of a step are spread over it, as they would have happened.
      const trade = this.#market.next(nowMs - stepMs + (stepMs * (i + 1)) / count)
      if (!trade) break
      trades.push(trade)
    }
    this.#sent += trades.length
    for (const client of clients) {
      const wanted = trades.filter(({ s }) => client.wants(s))
      for (let from = 0; from < wanted.length; from += MAX_TRADES_PER_FRAME) {
        client.sendTrades(wanted.slice(from, from + MAX_TRADES_PER_FRAME))
      }
      if (client.bufferedBytes > MAX_BUFFERED_BYTES) client.socket.terminate()
    }
  }
}
