import type { EngineWrite } from './engine.js'

/**
 * A value of a store as a live object. It is mutated in place and encoded once per commit.
 * `dirty`: changed in the current interval. `frozen`: part of the interval that is being committed.
 * Either one pins it: its engine does not have it yet, so evicting it would lose an update.
 */
export interface CacheEntry<S> {
  /** Its key in the changelog. */
  readonly storeKey: Buffer
  value: S | undefined
  dirty: boolean
  frozen: boolean
  /** Second chance: was it used since the sweep last came by? */
  used: boolean
  sizeBytes: number
}

/** What an entry costs besides its encoded value: the object, its fields and its place in the maps. */
const ENTRY_OVERHEAD_BYTES = 400

/** One bound for all stores of a process. When it is full, entries not used lately are let go at the next commit. */
export class CacheBudget {
  #usedBytes = 0
  #pinnedBytes = 0
  /** Uses of an object that was there. Counted per record, so plain fields, read when metrics are asked for. */
  hits = 0
  /** Objects that had to be read from their engine. */
  misses = 0
  /** Objects that were let go because the cache is full. */
  evictions = 0

  constructor(readonly limitBytes: number) {}

  get usedBytes(): number {
    return this.#usedBytes
  }

  get isFull(): boolean {
    return this.#usedBytes > this.limitBytes
  }

  /** Half the cache cannot be evicted: the interval must be committed now. */
  get mustFreeze(): boolean {
    return this.#pinnedBytes > this.limitBytes / 2
  }

  used(bytes: number): void {
    this.#usedBytes += bytes
  }

  pinned(bytes: number): void {
    this.#pinnedBytes += bytes
  }
}

/** The serde of a store threw about this entry's value. */
export class UnencodableError extends Error {
  constructor(
    readonly storeKey: Buffer,
    override readonly cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'UnencodableError'
  }
}

export interface ObjectCacheOptions<S> {
  budget: CacheBudget
  encode(value: S): Buffer
  /** Takes an evicted entry out of the store's own index. */
  forget(entry: CacheEntry<S>): void
}

/**
 * The live objects of one store: which are dirty, which are frozen, which may go. The store on top finds them by key.
 */
export class ObjectCache<S> {
  readonly #options: ObjectCacheOptions<S>
  #entries: CacheEntry<S>[] = []
  #dirty: CacheEntry<S>[] = []
  #frozen: CacheEntry<S>[] = []
  #hand = 0

  constructor(options: ObjectCacheOptions<S>) {
    this.#options = options
  }

  get dirty(): readonly CacheEntry<S>[] {
    return this.#dirty
  }

  add<Entry extends CacheEntry<S>>(entry: Entry, encodedBytes: number): Entry {
    entry.sizeBytes = sizeOf(entry, encodedBytes)
    this.#options.budget.used(entry.sizeBytes)
    this.#options.budget.misses++
    this.#entries.push(entry)
    return entry
  }

  markDirty(entry: CacheEntry<S>): void {
    if (entry.dirty) return
    entry.dirty = true
    if (!entry.frozen) this.#options.budget.pinned(entry.sizeBytes)
    this.#dirty.push(entry)
  }

  /**
   * Encodes what changed since the last freeze: keys as in the changelog, `undefined` for deleted. The entries stay
   * pinned until `persisted()`. At most one freeze may be under way.
   */
  freeze(): EngineWrite[] {
    if (this.#frozen.length > 0) throw new Error('an interval is frozen already')
    const frozen = this.#dirty
    this.#dirty = []
    this.#frozen = frozen
    return frozen.map((entry) => {
      entry.dirty = false
      entry.frozen = true
      const value = this.#encode(entry)
      this.#resize(entry, value?.length ?? 0)
      return { key: entry.storeKey, value }
    })
  }

  /** An object that the engine does not have as it is now, if it is one; encoded when its value is asked for. */
  pinned(entry: CacheEntry<S> | undefined): EngineWrite | undefined {
    return entry !== undefined && (entry.dirty || entry.frozen) ? this.#asWrite(entry) : undefined
  }

  /** Every object that the engine does not have as it is now, in no order. */
  allPinned(): EngineWrite[] {
    return [...this.#dirty, ...this.#frozen.filter(({ dirty }) => !dirty)].map((entry) => this.#asWrite(entry))
  }

  #encode({ value, storeKey }: CacheEntry<S>): Buffer | undefined {
    try {
      return value === undefined ? undefined : this.#options.encode(value)
    } catch (error) {
      throw new UnencodableError(storeKey, error)
    }
  }

  /** The engine has what was frozen: unpins it. */
  persisted(): void {
    for (const entry of this.#frozen) {
      entry.frozen = false
      if (!entry.dirty) this.#options.budget.pinned(-entry.sizeBytes)
    }
    this.#frozen = []
    this.#evict()
  }

  /** Forgets every object, changed or not: after this all reads come from the engine. */
  clear(): void {
    const { budget } = this.#options
    for (const entry of this.#entries) {
      budget.used(-entry.sizeBytes)
      if (entry.dirty || entry.frozen) budget.pinned(-entry.sizeBytes)
    }
    this.#entries = []
    this.#dirty = []
    this.#frozen = []
    this.#hand = 0
  }

  #asWrite(entry: CacheEntry<S>): EngineWrite {
    const { encode } = this.#options
    return {
      key: entry.storeKey,
      get value() {
        return entry.value === undefined ? undefined : encode(entry.value)
      },
    }
  }

  /** Encoding tells how large the value has become. */
  #resize(entry: CacheEntry<S>, encodedBytes: number): void {
    const grownBytes = sizeOf(entry, encodedBytes) - entry.sizeBytes
    entry.sizeBytes += grownBytes
    this.#options.budget.used(grownBytes)
    this.#options.budget.pinned(grownBytes)
  }

  /** The clock algorithm: one turn at most, unpinned entries that were not used since the last turn go. */
  #evict(): void {
    const { budget, forget } = this.#options
    const entries = this.#entries
    for (let steps = entries.length; steps > 0 && budget.isFull; steps--) {
      if (this.#hand >= entries.length) this.#hand = 0
      const entry = entries[this.#hand]!
      if (entry.dirty || entry.frozen || entry.used) {
        entry.used = false
        this.#hand++
        continue
      }
      entries[this.#hand] = entries.at(-1)!
      entries.pop()
      budget.used(-entry.sizeBytes)
      budget.evictions++
      forget(entry)
    }
  }
}

/** An estimate: an object takes about three times its encoded size, besides what every entry costs. */
function sizeOf({ storeKey }: { storeKey: Buffer }, encodedBytes: number): number {
  return ENTRY_OVERHEAD_BYTES + storeKey.length * 2 + encodedBytes * 3
}
