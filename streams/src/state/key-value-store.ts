import type { KeyValueStoreSpec } from '../topology/stores.js'
import type { Engine, EngineWrite } from './engine.js'
import { keyIdentity } from './key-identity.js'
import { ObjectCache, type CacheBudget, type CacheEntry } from './object-cache.js'
import { storePrefix } from './store-keys.js'

export interface KeyValueEntry<K, S> extends CacheEntry<S> {
  readonly key: K
}

/** A key-value store as its task uses it: live objects in front of the engine, found synchronously. */
export class KeyValueStore<K, S> {
  readonly #entries = new Map<string | number, KeyValueEntry<K, S>>()
  readonly #cache: ObjectCache<S>
  readonly #prefix: Buffer

  constructor(
    readonly spec: KeyValueStoreSpec<K, S>,
    private readonly engine: Engine,
    private readonly budget: CacheBudget,
  ) {
    this.#prefix = storePrefix(spec.name)
    this.#cache = new ObjectCache({
      budget,
      encode: (value) => spec.value.encode(value),
      forget: (entry) => this.#entries.delete(keyIdentity((entry as KeyValueEntry<K, S>).key, spec.key)),
    })
  }

  /** The entry of a key, read from the engine at the first use; its value is undefined where there is none. */
  entry(key: K): KeyValueEntry<K, S> {
    const identity = keyIdentity(key, this.spec.key)
    const known = this.#entries.get(identity)
    if (known !== undefined) {
      known.used = true
      this.budget.hits++
      return known
    }
    const storeKey = this.spec.key.encode(key)
    const bytes = this.engine.get(Buffer.concat([this.#prefix, storeKey]))
    const value = bytes === undefined ? undefined : this.spec.value.decode(bytes, 0, bytes.length)
    const entry = { key, storeKey, value, dirty: false, frozen: false, used: true, sizeBytes: 0 }
    this.#entries.set(identity, entry)
    return this.#cache.add(entry, bytes?.length ?? 64)
  }

  /** To be called after each change of an entry's value. */
  changed(entry: KeyValueEntry<K, S>): void {
    this.#cache.markDirty(entry)
  }

  get dirty(): readonly KeyValueEntry<K, S>[] {
    return this.#cache.dirty as readonly KeyValueEntry<K, S>[]
  }

  pinned(storeKey: Buffer): EngineWrite | undefined {
    const key = this.spec.key.decode(storeKey, 0, storeKey.length)
    return this.#cache.pinned(this.#entries.get(keyIdentity(key, this.spec.key)))
  }

  allPinned(): EngineWrite[] {
    return this.#cache.allPinned()
  }

  freeze(): EngineWrite[] {
    return this.#cache.freeze()
  }

  persisted(): void {
    this.#cache.persisted()
  }

  clear(): void {
    this.#cache.clear()
    this.#entries.clear()
  }
}
