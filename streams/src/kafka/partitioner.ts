/** Murmur2 of the key's bytes as a signed 32-bit number: org.apache.kafka.common.utils.Utils.murmur2. */
export function murmur2(key: Buffer): number {
  const length = key.length
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ length
  const whole = length & ~3
  for (let at = 0; at < whole; at += 4) {
    let k = key.readInt32LE(at)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = length - whole
  if (rest === 3) h ^= key[whole + 2]! << 16
  if (rest >= 2) h ^= key[whole + 1]! << 8
  if (rest >= 1) h = Math.imul(h ^ key[whole]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

/** The partition of a key as Java's producer chooses it: toPositive(murmur2(key)) % partitions. */
export function partitionFor(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
