import type { Serde } from '../serde.js'

/** What tells keys apart in a map: texts and numbers are their own identity, anything else is told apart by its bytes. */
export function keyIdentity<K>(key: K, serde: Serde<K>): string | number {
  return typeof key === 'string' || typeof key === 'number' ? key : serde.encode(key).toString('latin1')
}
