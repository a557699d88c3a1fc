import type { Serde } from '../serde.js'

/** A store of one value per key. Keys are texts or numbers, or anything whose bytes tell it apart. */
export interface KeyValueStoreSpec<K, V> {
  readonly kind: 'key-value'
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** A value is over so long after its last change, in stream time; undefined = never. Fixed once there is state. */
  readonly ttlMs: number | undefined
}

/** A store of one value per key and window. */
export interface WindowStoreSpec<K, V> {
  readonly kind: 'window'
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** How long a window is kept after its start, in stream time. */
  readonly retentionMs: number
}

export type StoreSpec = KeyValueStoreSpec<unknown, unknown> | WindowStoreSpec<unknown, unknown>

/**
 * A store of one value per key.
 * @param name unique in the topology; names the changelog topic too: letters, digits, `.`, `_`, `-`
 * @param options `ttlMs`: a key that was not changed for so long, in stream time, is gone; more than 0
 */
export function keyValueStore<K, V>(
  name: string,
  { key, value, ttlMs }: { key: Serde<K>; value: Serde<V>; ttlMs?: number },
): KeyValueStoreSpec<K, V> {
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0)) {
    throw new RangeError(`store '${name}': a ttl must be a whole number of ms above 0, not ${ttlMs}`)
  }
  return Object.freeze({ kind: 'key-value', name: checkedName(name), key, value, ttlMs })
}

/**
 * A store of one value per key and window.
 * @param name as for keyValueStore
 */
export function windowStore<K, V>(
  name: string,
  options: { key: Serde<K>; value: Serde<V>; retentionMs: number },
): WindowStoreSpec<K, V> {
  return Object.freeze({ kind: 'window', name: checkedName(name), ...options })
}

function checkedName(name: string): string {
  if (/^[a-zA-Z0-9._-]{1,100}$/.test(name)) return name
  throw new TypeError(`store name '${name}' must be 1 to 100 letters, digits, '.', '_' or '-'`)
}
