import type { Bar } from '@candlewick/schemas/types'
import type { Price } from './latest-market.js'
import type { Item, Update } from './update.js'

/** A set of symbols, where `*` stands for all there are and all there will be. */
class SymbolSet {
  readonly #symbols = new Set<string>()
  #key: string | undefined

  get size(): number {
    return this.#symbols.size
  }

  get hasAll(): boolean {
    return this.#symbols.has('*')
  }

  /** Equal sets have equal keys; whoever has `*` gets the same as everybody who has `*`. */
  get key(): string {
    return (this.#key ??= this.hasAll ? '*' : this.sorted().join('\n'))
  }

  includes(symbol: string): boolean {
    return this.#symbols.has(symbol) || this.hasAll
  }

  has(symbol: string): boolean {
    return this.#symbols.has(symbol)
  }

  add(symbol: string): void {
    this.#symbols.add(symbol)
    this.#key = undefined
  }

  delete(symbol: string): void {
    this.#symbols.delete(symbol)
    this.#key = undefined
  }

  sorted(): string[] {
    return [...this.#symbols].sort()
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#symbols.values()
  }
}

export type Channel = { channel: 'prices' } | { channel: 'bars'; interval: string }

/** What one connection has subscribed to, and which items of an update or of a snapshot that selects. */
export class Subscriptions {
  readonly #prices = new SymbolSet()
  readonly #bars = new Map<string, SymbolSet>()
  #barsKey: string | undefined

  /** How many (channel, symbol, interval) there are; `*` counts as one. */
  get size(): number {
    let size = this.#prices.size
    for (const symbols of this.#bars.values()) size += symbols.size
    return size
  }

  /** Those of the symbols that are not subscribed to yet, without repeats. */
  missing(channel: Channel, symbols: readonly string[]): string[] {
    const known = this.#symbolsOf(channel)
    return [...new Set(symbols)].filter((symbol) => known?.has(symbol) !== true)
  }

  add(channel: Channel, symbols: readonly string[]): void {
    let known = this.#symbolsOf(channel)
    if (known === undefined && channel.channel === 'bars') {
      this.#bars.set(channel.interval, (known = new SymbolSet()))
    }
    for (const symbol of symbols) known?.add(symbol)
    this.#barsKey = undefined
  }

  remove(channel: Channel, symbols: readonly string[]): void {
    const known = this.#symbolsOf(channel)
    for (const symbol of symbols) known?.delete(symbol)
    if (channel.channel === 'bars' && known?.size === 0) this.#bars.delete(channel.interval)
    this.#barsKey = undefined
  }

  /** As acknowledgements list them. */
  list(): { prices: string[]; bars: { symbol: string; interval: string }[] } {
    return {
      prices: this.#prices.sorted(),
      bars: [...this.#bars].flatMap(([interval, symbols]) => symbols.sorted().map((symbol) => ({ symbol, interval }))),
    }
  }

  /** Identifies which prices this selects; undefined = none. */
  get pricesKey(): string | undefined {
    return this.#prices.size === 0 ? undefined : `prices\n${this.#prices.key}`
  }

  /** Identifies which bars this selects; undefined = none. */
  get barsKey(): string | undefined {
    if (this.#bars.size === 0) return undefined
    return (this.#barsKey ??= [...this.#bars]
      .map(([interval, symbols]) => `${interval}\n${symbols.key}`)
      .sort()
      .join('\n\n'))
  }

  /** The prices of an update that are wanted: the smaller of the two sets is walked. */
  choosePrices(update: Update): Item<Price>[] {
    if (this.#prices.hasAll) return [...update.prices.values()]
    if (update.prices.size < this.#prices.size) {
      return [...update.prices.values()].filter((item) => this.#prices.has(item.value.symbol))
    }
    const chosen: Item<Price>[] = []
    for (const symbol of this.#prices) {
      const item = update.prices.get(symbol)
      if (item !== undefined) chosen.push(item)
    }
    return chosen
  }

  chooseBars(update: Update): Item<Bar>[] {
    return [...update.bars.values()].filter(({ value }) => this.wantsBar(value))
  }

  wantsPrice({ symbol }: Price): boolean {
    return this.#prices.includes(symbol)
  }

  wantsBar({ symbol, interval }: Bar): boolean {
    return this.#bars.get(interval)?.includes(symbol) === true
  }

  #symbolsOf(channel: Channel): SymbolSet | undefined {
    return channel.channel === 'prices' ? this.#prices : this.#bars.get(channel.interval)
  }
}
