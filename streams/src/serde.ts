/** Turns values into bytes and back. `decode` reads in place, from `start` (inclusive) to `end` (exclusive). */
export interface Serde<T> {
  /** @throws when it is no value that this serde writes */
  encode(value: T): Buffer
  /** @throws when these bytes are no value */
  decode(bytes: Buffer, start: number, end: number): T
}

/** Texts as UTF-8. */
export const utf8: Serde<string> = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (bytes, start, end) => bytes.toString('utf8', start, end),
}

/**
 * JSON texts.
 * @param parse turns what was decoded into a value, and throws when it is none: such a record cannot be decoded. Without
 *   it whatever is there is taken for a `T`: for what the application wrote itself.
 */
export function json<T>(parse: (value: unknown) => T = (value) => value as T): Serde<T> {
  return {
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes, start, end) => parse(JSON.parse(bytes.toString('utf8', start, end))),
  }
}
