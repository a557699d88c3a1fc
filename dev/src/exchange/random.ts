/** Chance that can be repeated: from 0 (inclusive) to 1 (exclusive). */
export type Random = () => number

/**
 * sfc32 (https://pracrand.sourceforge.net): small, fast and good enough for a market that nobody bets on.
 * The same seed gives the same numbers on every machine.
 */
export function createRandom(seed: string): Random {
  let [a, b, c, d] = [hash(seed, 1), hash(seed, 2), hash(seed, 3), 1]
  const next = () => {
    const sum = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return (sum >>> 0) / 4_294_967_296
  }
  for (let i = 0; i < 12; i++) next()
  return next
}

/** FNV-1a with the salt as its first byte. */
function hash(text: string, salt: number): number {
  let value = Math.imul(0x811c9dc5 ^ salt, 0x01000193)
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value | 0
}

/** Exponentially distributed with mean 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random())
}

/** How many in a row, from 1 on: another one follows with probability `more`. */
export function geometric(random: Random, more: number, max: number): number {
  let count = 1
  while (count < max && random() < more) count++
  return count
}
