/**
 * Symbols, sources and condition codes come again and again: a direct-mapped cache from bytes to string spares the
 * decoding and the copy, and equal texts become the same string. A collision replaces; bounded at 16,384 texts of at
 * most 32 ASCII bytes, anything else is decoded afresh.
 */
const SLOTS = 1 << 14
const LONGEST = 32
const internedBytes = new Array<Buffer | undefined>(SLOTS).fill(undefined)
const internedTexts = new Array<string>(SLOTS).fill('')

/** The UTF-8 text in `bytes` from `start` to `end` (exclusive). */
export function internText(bytes: Buffer, start: number, end: number): string {
  const length = end - start
  if (length > LONGEST) return bytes.toString('utf8', start, end)
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 127) return bytes.toString('utf8', start, end)
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
  const known = internedBytes[slot]
  if (known !== undefined && known.length === length && known.compare(bytes, start, end) === 0) {
    return internedTexts[slot]!
  }
  const text = bytes.toString('latin1', start, end)
  // A copy of its own: a view would keep the whole fetched chunk in memory.
  internedBytes[slot] = Buffer.from(bytes.subarray(start, end))
  internedTexts[slot] = text
  return text
}
