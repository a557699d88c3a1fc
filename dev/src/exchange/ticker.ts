import type { Listing } from './listings.js'
import { createRandom, exponential, geometric, type Random } from './random.js'

/** A trade as Finnhub sends it. */
export interface WireTrade {
  s: string
  p: number
  t: number
  v: number
  c?: string[] | null
}

/** US conditions, as https://finnhub.io and the consolidated tape number them. */
const REGULAR = '1'
const ODD_LOT = '12'
const OFFICIAL_CLOSE = '16'
const OFFICIAL_OPEN = '20'
const EXTENDED_HOURS = '24'
const OUT_OF_SEQUENCE = '25'
const CONTINGENT = '37'

const MAX_LATE_MS = 4_000

/**
 * One symbol's trades. All its chance comes from its own seed, so its prices, volumes and conditions are the same
 * whatever else is traded; only times come from outside.
 */
export class Ticker {
  readonly #listing: Listing
  readonly #random: Random
  readonly #startTicks: number
  readonly #stepTicks: number
  #ticks: number
  /** Trades left of the order that is being filled: they share its millisecond. */
  #left = 0
  #atMs = 0
  #direction = 0

  constructor(listing: Listing, seed: string) {
    this.#listing = listing
    this.#random = createRandom(`${seed}/${listing.symbol}`)
    this.#startTicks = Math.max(1, Math.round(listing.startPrice * listing.ticksPerUnit))
    // A step is about 0.003 % of the price, and never less than a tick.
    this.#stepTicks = Math.max(1, Math.round(this.#startTicks * 3e-5))
    this.#ticks = this.#startTicks
  }

  /** Whether the next trade belongs to an order that has begun. */
  get isFilling(): boolean {
    return this.#left > 0
  }

  /** Nobody wants the rest of the order: the next trade begins a new one. */
  abandonOrder(): void {
    this.#left = 0
  }

  /** @param nowMs the time of the trade, unless it shares the time of the order it fills or is late */
  next(nowMs: number): WireTrade {
    if (this.#left === 0) this.#beginOrder(nowMs)
    this.#left--
    // A large order eats its way through the book.
    if (this.#random() < 0.25) this.#move(this.#direction)
    const price = this.#ticks / this.#listing.ticksPerUnit
    const { symbol, kind } = this.#listing
    if (kind === 'forex') return { s: symbol, p: price, t: this.#atMs, v: 0 }
    if (kind === 'crypto') return { s: symbol, p: price, t: this.#atMs, v: this.#fraction(price), c: null }
    return this.#stockTrade(symbol, price)
  }

  #beginOrder(nowMs: number): void {
    this.#left = geometric(this.#random, 0.6, 20)
    this.#atMs = Math.max(1, Math.floor(nowMs))
    // Pulled back to where it started, the more the further away: weeks later the price is still believable.
    const away = (this.#ticks - this.#startTicks) / this.#startTicks
    this.#direction = this.#random() < 0.5 - Math.max(-0.4, Math.min(0.4, away * 2)) ? 1 : -1
    if (this.#random() < 0.5) this.#move(this.#direction * Math.ceil(exponential(this.#random)))
  }

  #move(steps: number): void {
    this.#ticks = Math.max(1, this.#ticks + steps * this.#stepTicks)
  }

  #fraction(price: number): number {
    const notional = 2_000 * exponential(this.#random)
    return Math.max(1e-5, Math.round((notional / price) * 1e5) / 1e5)
  }

  #stockTrade(symbol: string, price: number): WireTrade {
    const kind = this.#random()
    const lots = geometric(this.#random, 0.45, 50)
    const odd = 1 + Math.floor(this.#random() * 99)
    const lateMs = Math.ceil(this.#random() * MAX_LATE_MS)
    const trade = (v: number, c: string[] | null, t = this.#atMs): WireTrade => ({ s: symbol, p: price, t, v, c })
    if (kind < 0.3) return trade(odd, [REGULAR, ODD_LOT])
    if (kind < 0.302) return trade(0, null)
    if (kind < 0.31) return trade(lots * 100, [OUT_OF_SEQUENCE], Math.max(1, this.#atMs - lateMs))
    if (kind < 0.313) return trade(lots * 100, [REGULAR], Math.max(1, this.#atMs - lateMs))
    if (kind < 0.323) return trade(lots * 100, [EXTENDED_HOURS])
    if (kind < 0.326) return trade(lots * 100, [REGULAR, CONTINGENT])
    if (kind < 0.3263) return trade(lots * 1000, [OFFICIAL_OPEN])
    if (kind < 0.3266) return trade(lots * 1000, [OFFICIAL_CLOSE])
    if (kind < 0.4) return { s: symbol, p: price, t: this.#atMs, v: lots * 100 }
    return trade(lots * 100, [REGULAR])
  }
}
