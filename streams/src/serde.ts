/** Turns values into bytes and back. `decode` reads in place, from `start` (inclusive) to `end` (exclusive). */
export interface Serde<T> {
  encode(value: T): Buffer
  decode(bytes: Buffer, start: number, end: number): T
}

/** Texts as UTF-8. */
export const utf8: Serde<string> = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (bytes, start, end) => bytes.toString('utf8', start, end),
}
