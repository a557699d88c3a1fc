import type { Bar } from '@candlewick/schemas/types'
import { Item, Update } from './update.js'

export interface Price {
  symbol: string
  price: number
  volume: number
  /** epoch ms of the trade */
  time: number
}

/** How a bar is told apart from every other. */
export function barKey(bar: Pick<Bar, 'symbol' | 'interval' | 'start'>): string {
  return `${bar.interval} ${bar.start} ${bar.symbol}`
}

/**
 * The newest price of every symbol and its newest bar of every interval (the open one where there is one): what a new
 * subscriber gets as its snapshot, and what has changed since the last update was taken. One object feeds all sessions.
 *
 * Bounded: at most `maxSymbols` symbols are kept. Of those beyond it, changes still reach subscribers, but there is no
 * snapshot for them; `refused` counts them.
 */
export class LatestMarket {
  readonly #prices = new Map<string, Item<Price>>()
  readonly #bars = new Map<string, Map<string, Item<Bar>>>()
  readonly #maxSymbols: number
  #update = new Update()
  refused = 0

  constructor(options: { maxSymbols: number } = { maxSymbols: 50_000 }) {
    this.#maxSymbols = options.maxSymbols
  }

  /** Takes the price of a trade unless a trade of a later time has set it already; of equal times the later call wins. */
  price(price: Price): void {
    const known = this.#prices.get(price.symbol)
    if (known !== undefined && known.value.time > price.time) return
    const item = new Item(price.symbol, price)
    if (known !== undefined || this.#hasRoom(this.#prices, price.symbol)) this.#prices.set(price.symbol, item)
    this.#update.prices.set(price.symbol, item)
  }

  /** Takes a bar as the topic `bars` has it: per symbol a later call is the newer word on the same bar. */
  bar(bar: Bar): void {
    const item = new Item(barKey(bar), bar)
    this.#update.bars.set(item.key, item)
    let ofSymbol = this.#bars.get(bar.symbol)
    if (ofSymbol === undefined) {
      if (!this.#hasRoom(this.#bars, bar.symbol)) return
      this.#bars.set(bar.symbol, (ofSymbol = new Map()))
    }
    const known = ofSymbol.get(bar.interval)
    if (known === undefined || known.value.start <= bar.start) ofSymbol.set(bar.interval, item)
  }

  /** Takes a price from elsewhere than the topic (a query's answer): only where the topic has said nothing as new. */
  seedPrice(price: Price): void {
    const known = this.#prices.get(price.symbol)
    if (known === undefined || known.value.time < price.time) this.price(price)
  }

  /** Takes a bar from elsewhere than the topic (a query's answer): only where the topic has not said more already. */
  seedBar(bar: Bar): void {
    const known = this.#bars.get(bar.symbol)?.get(bar.interval)?.value
    const isNews =
      known === undefined ||
      bar.start > known.start ||
      (bar.start === known.start && !known.closed && bar.trades > known.trades)
    if (isNews) this.bar(bar)
  }

  /** What has changed since the last call; undefined = nothing. */
  takeUpdate(): Update | undefined {
    if (this.#update.prices.size === 0 && this.#update.bars.size === 0) return undefined
    const update = this.#update
    this.#update = new Update()
    return update
  }

  /** The newest prices of some symbols, of all for `*`; those without a price yet are left out. */
  prices(symbols: readonly string[]): Item<Price>[] {
    if (symbols.includes('*')) return [...this.#prices.values()]
    return symbols.map((symbol) => this.#prices.get(symbol)).filter((item) => item !== undefined)
  }

  /** The newest bar of an interval of some symbols, of all for `*`. */
  bars(interval: string, symbols: readonly string[]): Item<Bar>[] {
    const chosen = symbols.includes('*') ? [...this.#bars.values()] : symbols.map((symbol) => this.#bars.get(symbol))
    return chosen.map((ofSymbol) => ofSymbol?.get(interval)).filter((item) => item !== undefined)
  }

  get symbolCount(): number {
    return Math.max(this.#prices.size, this.#bars.size)
  }

  #hasRoom(map: ReadonlyMap<string, unknown>, symbol: string): boolean {
    if (map.has(symbol) || map.size < this.#maxSymbols) return true
    this.refused++
    return false
  }
}
