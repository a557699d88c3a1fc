import { followMinute, MAX_BARS, mergeBars } from './chart-data.js'
import type { Bar, Interval } from './protocol.js'
import { type Answer, getBars, poll, retryDelayMs } from './rest.js'

/**
 * The bars of one symbol and interval: history from the API, the newest minute from the feed, longer open bars from the API
 * every few seconds with the newest minute laid over them in between.
 */

const HISTORY: Readonly<Record<Interval, number>> = { '1m': 1500, '5m': 500, '15m': 500, '1h': 500, '1d': 400 }
/** How often the API is asked for the newest bars. Minutes come by the feed; asking mends what a closed connection missed. */
const EVERY_MS: Readonly<Record<Interval, number>> = { '1m': 15_000, '5m': 2000, '15m': 2000, '1h': 2000, '1d': 3000 }
const NEWEST = 5

export interface BarFeedListener {
  /** The bars changed from this index on. */
  onBars(bars: readonly Bar[], from: number): void
  /** What keeps bars from being shown, or '' for nothing. */
  onNote(note: string): void
}

export class BarFeed {
  readonly symbol: string
  readonly interval: Interval
  readonly #listener: BarFeedListener
  readonly #closing = new AbortController()
  #bars: readonly Bar[] = []
  #minute: Bar | undefined
  #failures = 0
  #loaded = false
  #exhausted = false
  #loadingOlder = false

  constructor(symbol: string, interval: Interval, listener: BarFeedListener) {
    this.symbol = symbol
    this.interval = interval
    this.#listener = listener
  }

  start(): void {
    this.#listener.onNote('Loading…')
    void poll(this.#closing.signal, () => this.#ask())
  }

  close(): void {
    this.#closing.abort()
  }

  /** Whether the oldest bar held is the oldest there is. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  get bars(): readonly Bar[] {
    return this.#bars
  }

  /** Bars of the feed; those of other symbols and intervals are passed over. */
  take(bars: readonly Bar[]): void {
    const ours = bars.filter((bar) => bar.symbol === this.symbol)
    const sameInterval = ours.filter((bar) => bar.interval === this.interval)
    if (sameInterval.length > 0) this.#merge(sameInterval)
    if (this.interval === '1m') return
    for (const bar of ours) {
      if (bar.interval === '1m' && bar.start >= (this.#minute?.start ?? 0)) this.#minute = bar
    }
    this.#follow()
  }

  /** Reads everything again: after a new connection or missed frames nobody knows which bars were lost. */
  reload(): void {
    this.#loaded = false
    void this.#ask()
  }

  /** Fetches bars before the oldest one, once at a time, until there are none. */
  async older(): Promise<void> {
    const oldest = this.#bars[0]
    if (oldest === undefined || !this.#loaded || this.#exhausted || this.#loadingOlder) return
    if (this.#bars.length >= MAX_BARS) return
    this.#loadingOlder = true
    const range = { limit: 500, toMs: oldest.start - 1 }
    const answer = await getBars(this.symbol, this.interval, range, this.#closing.signal)
    this.#loadingOlder = false
    if (this.#closing.signal.aborted || answer.kind !== 'ok') return
    if (answer.value.bars.length === 0) this.#exhausted = true
    this.#merge(answer.value.bars)
  }

  async #ask(): Promise<number> {
    const everything = !this.#loaded
    const limit = everything ? HISTORY[this.interval] : NEWEST
    const answer = await getBars(this.symbol, this.interval, { limit }, this.#closing.signal)
    if (this.#closing.signal.aborted) return 0
    if (answer.kind !== 'ok') return this.#explain(answer)
    this.#failures = 0
    if (everything) {
      this.#exhausted = answer.value.bars.length < limit
      this.#loaded = true
    }
    this.#merge(answer.value.bars)
    this.#follow()
    if (this.#bars.length === 0) this.#listener.onNote('No bars yet: the first one opens with the next trade.')
    else this.#listener.onNote(answer.value.partial === true ? 'The newest bar is being restored.' : '')
    return EVERY_MS[this.interval]
  }

  #explain(answer: Exclude<Answer<unknown>, { kind: 'ok' }>): number {
    switch (answer.kind) {
      case 'restoring':
        this.#listener.onNote(`Bars are being restored, asked again in ${Math.ceil(answer.retryAfterMs / 1000)} s.`)
        return answer.retryAfterMs
      case 'not-found':
        this.#listener.onNote(`No trades of ${this.symbol} yet. Its candles start with the first one.`)
        return 5000
      case 'refused':
        this.#listener.onNote(answer.detail)
        return 15_000
      case 'away':
        this.#listener.onNote('The API does not answer. Asking again.')
        return retryDelayMs(this.#failures++)
    }
  }

  #follow(): void {
    const moved = this.#minute && followMinute(this.#bars, this.#minute, this.interval)
    if (moved !== undefined) this.#merge([moved])
  }

  #merge(incoming: readonly Bar[]): void {
    const { bars, from } = mergeBars(this.#bars, incoming)
    if (from === null) return
    this.#bars = bars
    this.#listener.onBars(bars, from)
  }
}
