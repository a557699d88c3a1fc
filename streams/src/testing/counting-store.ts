import { utf8, type Serde } from '../serde.js'
import { keyValueStore } from '../topology/stores.js'

/** Numbers as decimal texts. */
export const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}

/** What counting-app.ts keeps: the sum of every key. */
export const sums = keyValueStore('sums', { key: utf8, value: number })
