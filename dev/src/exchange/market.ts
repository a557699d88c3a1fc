import { createListings, popularity, type Listing } from './listings.js'
import { createRandom, type Random } from './random.js'
import { Ticker, type WireTrade } from './ticker.js'

/**
 * A market that can be repeated: the same seed and the same set of traded symbols give the same sequence of (symbol,
 * price, volume, conditions), however fast it is asked for.
 */
export class Market {
  readonly #listings: readonly Listing[]
  readonly #places = new Map<string, number>()
  readonly #tickers = new Map<string, Ticker>()
  readonly #random: Random
  readonly #seed: string
  #traded: string[] = []
  #cumulated: number[] = []
  #current: Ticker | undefined

  constructor(options: { seed: string; symbols: number }) {
    this.#seed = options.seed
    this.#random = createRandom(options.seed)
    this.#listings = createListings(options.symbols)
    this.#listings.forEach(({ symbol }, place) => this.#places.set(symbol, place))
  }

  get symbols(): readonly string[] {
    return [...this.#places.keys()]
  }

  has(symbol: string): boolean {
    return this.#places.has(symbol)
  }

  /** Only these are traded from now on, by their popularity. Symbols that are not listed are left out. */
  trade(symbols: Iterable<string>): void {
    const places = [...new Set(symbols)].flatMap((symbol) => this.#places.get(symbol) ?? []).sort((a, b) => a - b)
    this.#traded = places.map((place) => this.#listings[place]!.symbol)
    let sum = 0
    this.#cumulated = places.map((place) => (sum += popularity(place)))
    this.#current?.abandonOrder()
    this.#current = undefined
  }

  /** @returns undefined while no symbol is traded */
  next(nowMs: number): WireTrade | undefined {
    if (!this.#current?.isFilling) this.#current = this.#choose()
    return this.#current?.next(nowMs)
  }

  #choose(): Ticker | undefined {
    const total = this.#cumulated.at(-1)
    if (total === undefined) return undefined
    const at = this.#random() * total
    let low = 0
    for (let high = this.#cumulated.length - 1; low < high;) {
      const middle = (low + high) >>> 1
      if (this.#cumulated[middle]! <= at) low = middle + 1
      else high = middle
    }
    return this.#ticker(this.#traded[low]!)
  }

  #ticker(symbol: string): Ticker {
    let ticker = this.#tickers.get(symbol)
    if (!ticker) {
      ticker = new Ticker(this.#listings[this.#places.get(symbol)!]!, this.#seed)
      this.#tickers.set(symbol, ticker)
    }
    return ticker
  }
}

const DAY_MS = 86_400_000
const OPEN_MS = 14.5 * 3_600_000
const CLOSE_MS = 21 * 3_600_000

/**
 * How lively the market is at a time of day, from 0.75 to 1.25: most at the opening and the closing of the US session,
 * quiet at its noon (the U that intraday volume draws) and through the night. Smooth everywhere.
 */
export function activity(nowMs: number): number {
  const timeMs = nowMs % DAY_MS
  return 0.75 + 0.5 * Math.max(bell(timeMs - OPEN_MS), bell(timeMs - CLOSE_MS))
}

function bell(distanceMs: number): number {
  const nearest = Math.min(Math.abs(distanceMs), DAY_MS - Math.abs(distanceMs))
  return Math.exp(-((nearest / (1.5 * 3_600_000)) ** 2))
}
