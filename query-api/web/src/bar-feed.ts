import { followMinute, followPrice, INTERVAL_MS, MAX_BARS, mergeBars } from './chart-data.js'
import type { Bar, Interval } from './protocol.js'
import { type Answer, getBars, poll, retryDelayMs } from './rest.js'

/**
 * The bars of one symbol and interval: history from the API, the newest minute from the feed, longer open bars from the API
 * every few seconds with the newest minute laid over them in between.
 */

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** How far back the first question reaches: the whole day of the last trade at least. Scrolling there brings more. */
const LOOK_BACK_MS: Readonly<Record<Interval, number>> = {
  '1m': 26 * HOUR,
  '5m': 3 * DAY,
  '15m': 7 * DAY,
  '1h': 30 * DAY,
  '1d': 400 * DAY,
}
/** How often the API is asked for the newest bars. Minutes come by the feed; asking mends what a closed connection missed. */
const EVERY_MS: Readonly<Record<Interval, number>> = { '1m': 15_000, '5m': 2000, '15m': 2000, '1h': 2000, '1d': 3000 }
/** Bars asked for at a time, and from which of the newest ones on: corrections of those before come by the feed. */
const PAGE = 1000
const ASK_AGAIN_FOR = 3
/** After a failure to get older bars it is not tried again for so long, however much is scrolled. */
const OLDER_REST_MS = 10_000

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
  /** Nothing before it has been asked for; undefined until the first answer. */
  #askedFromMs: number | undefined
  readonly #lastTradeMs: number | null
  #bars: readonly Bar[] = []
  /** The same, the open one moved by the last price. */
  #shown: readonly Bar[] = []
  #price: { price: number; timeMs: number } | undefined
  #minute: Bar | undefined
  #failures = 0
  #olderAgainAtMs = 0

  /** @param lastTradeMs where the newest bars are to be expected; null when nobody knows yet */
  constructor(symbol: string, interval: Interval, lastTradeMs: number | null, listener: BarFeedListener) {
    this.symbol = symbol
    this.interval = interval
    this.#lastTradeMs = lastTradeMs
    this.#listener = listener
  }

  start(): void {
    this.#listener.onNote('Loading…')
    void poll(this.#closing.signal, () => this.#ask())
  }

  close(): void {
    this.#closing.abort()
  }

  get bars(): readonly Bar[] {
    return this.#shown
  }

  /** Whether all bars since that time are there. */
  reachesBackTo(timeMs: number): boolean {
    return this.#askedFromMs !== undefined && this.#askedFromMs <= timeMs && this.#bars.length < MAX_BARS
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

  /** The symbol's last price, which moves the open bar until the bar itself comes. */
  takePrice(price: number, timeMs: number): void {
    if (this.#price?.price === price && this.#price.timeMs === timeMs) return
    this.#price = { price, timeMs }
    this.#show(Infinity)
  }

  /** Asks for the newest bars at once: after a new connection nobody knows which were missed. */
  catchUp(): void {
    if (this.#askedFromMs !== undefined) void this.#ask()
  }

  /** Fetches bars before the oldest one, once at a time, until there are none. */
  async older(): Promise<void> {
    const askedFromMs = this.#askedFromMs
    if (askedFromMs === undefined || askedFromMs === -Infinity || this.#bars.length >= MAX_BARS) return
    if (Date.now() < this.#olderAgainAtMs) return
    this.#olderAgainAtMs = Infinity
    const range = { limit: PAGE / 2, toMs: askedFromMs - 1 }
    const answer = await getBars(this.symbol, this.interval, range, this.#closing.signal)
    this.#olderAgainAtMs = Date.now() + OLDER_REST_MS
    if (this.#closing.signal.aborted || answer.kind !== 'ok') return
    const { bars } = answer.value
    this.#askedFromMs = bars.length < range.limit ? -Infinity : bars[0]!.start
    this.#olderAgainAtMs = 0
    this.#merge(bars)
  }

  async #ask(): Promise<number> {
    const isFirst = this.#askedFromMs === undefined
    const range = isFirst ? this.#firstRange() : this.#newestRange()
    const answer = await getBars(this.symbol, this.interval, range, this.#closing.signal)
    if (this.#closing.signal.aborted) return 0
    if (answer.kind !== 'ok') return this.#explain(answer)
    const { bars, partial } = answer.value
    this.#failures = 0
    if (isFirst) this.#askedFromMs = range.fromMs ?? (bars.length < range.limit ? -Infinity : bars[0]!.start)
    this.#merge(bars)
    this.#follow()
    if (this.#bars.length === 0) {
      await this.older()
      if (this.#closing.signal.aborted) return 0
    }
    if (this.#bars.length === 0) this.#listener.onNote('No bars yet: the first one opens with the next trade.')
    else this.#listener.onNote(partial === true ? 'The newest bar is being restored.' : '')
    return !isFirst && bars.length === range.limit ? 0 : EVERY_MS[this.interval]
  }

  /** A bounded look back from the last trade: cheap to answer however little history there is. */
  #firstRange(): { limit: number; fromMs?: number } {
    const lookBackMs = LOOK_BACK_MS[this.interval]
    const limit = Math.ceil(lookBackMs / INTERVAL_MS[this.interval]) + ASK_AGAIN_FOR
    return this.#lastTradeMs === null ? { limit } : { limit: limit + PAGE, fromMs: this.#lastTradeMs - lookBackMs }
  }

  #newestRange(): { limit: number; fromMs?: number } {
    const known = this.#bars.at(-ASK_AGAIN_FOR) ?? this.#bars[0]
    return known === undefined ? { limit: PAGE } : { limit: PAGE, fromMs: known.start }
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
    this.#show(from)
  }

  /** @param from the first bar that changed besides the one that follows the price */
  #show(from: number): void {
    const moved = this.#price && followPrice(this.#bars, this.#price)
    const wasMoved = this.#shown.length > 0 && this.#shown.at(-1) !== this.#bars[this.#shown.length - 1]
    if (wasMoved) from = Math.min(from, this.#shown.length - 1)
    if (moved !== undefined) from = Math.min(from, this.#bars.length - 1)
    this.#shown = moved === undefined ? this.#bars : [...this.#bars.slice(0, -1), moved]
    if (from !== Infinity) this.#listener.onBars(this.#shown, from)
  }
}
