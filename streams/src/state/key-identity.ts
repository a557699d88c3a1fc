import type { Serde } from '../serde.js'

/** Before the bytes of keys that are neither texts nor numbers; half a character, with which no text of UTF-8 begins. */
const BYTES = '\ud800'

/** What tells keys apart in a map: texts and numbers are their own identity, anything else is told apart by its bytes. */
export function keyIdentity<K>(key: K, serde: Serde<K>): string | number {
  return typeof key === 'string' || typeof key === 'number' ? key : BYTES + serde.encode(key).toString('latin1')
}
