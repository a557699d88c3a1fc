import type { Random } from '@candlewick/dev/exchange/random'

/** A whole number from `min` to `max`, both included. */
export function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + Math.floor(random() * (max - min + 1))
}

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const all = [...items]
  for (let at = all.length - 1; at > 0; at--) {
    const other = between(random, [0, at])
    ;[all[at], all[other]] = [all[other]!, all[at]!]
  }
  return all
}

export function oneOf<T>(random: Random, items: readonly T[]): T {
  return items[between(random, [0, items.length - 1])]!
}
