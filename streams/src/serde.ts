/** Turns values into bytes and back. `decode` reads in place, from `start` (inclusive) to `end` (exclusive). */
export interface Serde<T> {
  encode(value: T): Buffer
  decode(bytes: Buffer, start: number, end: number): T
}

const SLOTS = 1 << 14
const LONGEST = 32

/**
 * Short texts that come again and again (keys) are decoded once: a direct-mapped cache from bytes to string, where a
 * collision replaces. Bounded at 16,384 texts of at most 32 ASCII bytes; anything else is decoded afresh.
 */
const internedBytes = new Array<Buffer | undefined>(SLOTS).fill(undefined)
const internedTexts = new Array<string>(SLOTS).fill('')

function decodeUtf8(bytes: Buffer, start: number, end: number): string {
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
  internedBytes[slot] = Buffer.from(bytes.subarray(start, end))
  internedTexts[slot] = text
  return text
}

/** Texts as UTF-8. */
export const utf8: Serde<string> = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: decodeUtf8,
}
