import type { Bar } from '@candlewick/schemas/types'
import type { Price } from './latest-market.js'

/** How many values were turned into JSON since the process began: shows that the work is shared (see the metric). */
export const encodings = { count: 0 }

/** A price or a bar together with its JSON, which is made at most once however many sessions send it. */
export class Item<T> {
  #json: string | undefined
  /** @param key of two items with the same key the later replaces the earlier */
  constructor(
    readonly key: string,
    readonly value: T,
  ) {}

  get json(): string {
    if (this.#json === undefined) {
      encodings.count++
      this.#json = JSON.stringify(this.value)
    }
    return this.#json
  }
}

/**
 * What has changed in the market between two flushes: per symbol the latest price, per bar its latest word.
 * Sessions with the same subscriptions send the same bytes, so those are made once per update and kept in it.
 */
export class Update {
  readonly prices = new Map<string, Item<Price>>()
  readonly bars = new Map<string, Item<Bar>>()
  readonly #shared = new Map<string, Shared>()

  /**
   * The JSON of the items that go to everybody with the same subscriptions.
   * @param key identifies channel and subscriptions; equal keys must mean equal choices
   */
  share(key: string, choose: () => readonly Item<unknown>[]): Shared {
    let shared = this.#shared.get(key)
    if (shared === undefined) this.#shared.set(key, (shared = join(choose())))
    return shared
  }
}

/** Items joined by commas, as bytes, ready to stand between [ and ]. */
export interface Shared {
  count: number
  bytes: Uint8Array
}

const encoder = new TextEncoder()

export function join(items: readonly Item<unknown>[]): Shared {
  return { count: items.length, bytes: encoder.encode(items.map((item) => item.json).join(',')) }
}
