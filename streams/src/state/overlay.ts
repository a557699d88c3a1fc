import type { EngineEntry, EngineWrite } from './engine.js'

/** A part of a store by store keys: from `from` (inclusive) to `to` (exclusive; undefined = the end of the store). */
export interface StoreRange {
  readonly from: Buffer
  readonly to: Buffer | undefined
}

/** A part of a store, and how it is gone through. */
export interface StoreScan extends StoreRange {
  readonly reverse?: boolean
  readonly limit?: number
}

/**
 * Puts changes over what an engine has: one ascending (or descending) sequence of both, where a change stands in for
 * the engine's entry of its key. Lazy on both sides: a change is asked for its value when its turn comes.
 * @param over ascending by key; keys outside of the scan are passed over
 * @param base entries of the engine in the same range; asked for as many more as changes may delete
 */
export async function* overlaid(
  base: (scan: StoreScan) => AsyncIterable<EngineEntry>,
  over: readonly EngineWrite[],
  scan: StoreScan,
): AsyncGenerator<EngineEntry> {
  const { from, to, reverse = false, limit = Number.POSITIVE_INFINITY } = scan
  const first = indexOf(over, from)
  const end = to === undefined ? over.length : Math.max(first, indexOf(over, to))
  const within = over.slice(first, end)
  if (reverse) within.reverse()
  let left = limit
  if (left <= 0) return
  const baseLimit = Number.isFinite(limit) ? { limit: limit + within.length } : {}
  for await (const entry of merge(base({ from, to, reverse, ...baseLimit }), within, reverse)) {
    yield entry
    if (--left === 0) return
  }
}

async function* merge(
  base: AsyncIterable<EngineEntry>,
  over: readonly EngineWrite[],
  reverse: boolean,
): AsyncGenerator<EngineEntry> {
  let next = 0
  for await (const entry of base) {
    let replaced = false
    for (; next < over.length && !replaced; next++) {
      const { key, value } = over[next]!
      const order = reverse ? entry[0].compare(key) : key.compare(entry[0])
      if (order > 0) break
      if (value !== undefined) yield [key, value]
      replaced = order === 0
    }
    if (!replaced) yield entry
  }
  for (; next < over.length; next++) {
    const { key, value } = over[next]!
    if (value !== undefined) yield [key, value]
  }
}

/** How many keys are smaller. */
function indexOf(sorted: readonly EngineWrite[], key: Buffer): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]!.key.compare(key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
