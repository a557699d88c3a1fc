import type { WebSocket } from 'ws'
import type { WireTrade } from './ticker.js'

/** Subscriptions arrive one frame each; trades begin when none came for this long, so that a seed gives one sequence. */
const SETTLE_MS = 150

/** One connection and what it has subscribed. */
export class Client {
  readonly symbols = new Set<string>()
  /** Subscribed to `*`, our own extension: everything. */
  everything = false

  constructor(
    readonly token: string,
    readonly socket: WebSocket,
  ) {}

  get isListening(): boolean {
    return this.everything || this.symbols.size > 0
  }

  wants(symbol: string): boolean {
    return this.everything || this.symbols.has(symbol)
  }

  sendTrades(trades: readonly WireTrade[]): void {
    this.send(JSON.stringify({ data: trades, type: 'trade' }))
  }

  /** The callback says that the bytes have left for the network (or never will). */
  send(frame: string | Buffer, sent: () => void = () => {}): void {
    // A connection that closes while we write is nothing to report: its close is.
    this.socket.send(frame, { binary: false }, () => sent())
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount
  }
}

/** Those who listen. A feed asks it to whom, and whether at all, trades go. */
export class Audience {
  /** Counts the changes of who listens to what. */
  version = 0
  readonly #clients = new Set<Client>()
  #silentUntilMs = 0
  #isSettled = false
  #timer: NodeJS.Timeout | undefined
  #waiters: (() => void)[] = []

  /** In the order of their connections. */
  get clients(): readonly Client[] {
    return [...this.#clients]
  }

  add(client: Client): void {
    this.#clients.add(client)
  }

  remove(client: Client): void {
    if (this.#clients.delete(client) && client.isListening) this.changed()
  }

  /** Subscriptions have changed. */
  changed(): void {
    this.version++
    this.#isSettled = false
    this.#wakeAfter(SETTLE_MS)
  }

  /** Nothing is sent for so long, not even a ping; 0 ends it. */
  silence(lengthMs: number): void {
    this.#silentUntilMs = Date.now() + lengthMs
    this.#wakeAfter(Math.max(lengthMs, SETTLE_MS))
  }

  get isSilent(): boolean {
    return Date.now() < this.#silentUntilMs
  }

  /** Trades may be sent now: somebody listens, has subscribed all it wants, and there is no silence. */
  get isListening(): boolean {
    return this.#isSettled && !this.isSilent && [...this.#clients].some((client) => client.isListening)
  }

  /** Resolves when trades may be sent, or `close` was called. */
  async whenListening(): Promise<void> {
    if (!this.isListening) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#wake()
  }

  #wakeAfter(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#isSettled = true
      if (this.isSilent) this.#wakeAfter(this.#silentUntilMs - Date.now() + 1)
      else if (this.isListening) this.#wake()
    }, delayMs)
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }
}
