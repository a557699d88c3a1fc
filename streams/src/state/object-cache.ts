import type { CacheBudget } from './cache-budget.js'
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

/**
 * The live objects of one store: which are dirty, which are frozen, which may go. The store that extends it finds them
 * by key.
 */
export abstract class ObjectCache<Entry extends CacheEntry<unknown>> {
  #entries: Entry[] = []
  #dirty: Entry[] = []
  #frozen: Entry[] = []
  #hand = 0

  constructor(protected readonly budget: CacheBudget) {}

  /** Of an entry that has a value. */
  protected abstract encode(entry: Entry): Buffer

  /** Takes an evicted entry out of the store's own index. */
  protected abstract forget(entry: Entry): void

  get dirty(): readonly Entry[] {
    return this.#dirty
  }

  protected add(entry: Entry, encodedBytes: number): Entry {
    entry.sizeBytes = sizeOf(entry, encodedBytes)
    this.budget.used(entry.sizeBytes)
    this.budget.misses++
    if (this.#entries.push(entry) === 1) this.budget.join(this)
    return entry
  }

  /** To be called after each change of an entry's value. */
  changed(entry: Entry): void {
    if (entry.dirty) return
    entry.dirty = true
    if (!entry.frozen) this.budget.pinned(entry.sizeBytes)
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

  /** Every object that the engine does not have as it is now, in no order; encoded when its value is asked for. */
  allPinned(): EngineWrite[] {
    return [...this.#dirty, ...this.#frozen.filter(({ dirty }) => !dirty)].map((entry) => this.#asWrite(entry))
  }

  /** The same of one entry, if it is such an object. */
  protected asPinned(entry: Entry | undefined): EngineWrite | undefined {
    return entry !== undefined && (entry.dirty || entry.frozen) ? this.#asWrite(entry) : undefined
  }

  /** The engine has what was frozen: unpins it. */
  persisted(): void {
    for (const entry of this.#frozen) {
      entry.frozen = false
      if (!entry.dirty) this.budget.pinned(-entry.sizeBytes)
    }
    this.#frozen = []
    this.budget.evict(this)
  }

  /** Forgets every object, changed or not: after this all reads come from the engine. */
  clear(): void {
    for (const entry of this.#entries) {
      this.budget.used(-entry.sizeBytes)
      if (entry.dirty || entry.frozen) this.budget.pinned(-entry.sizeBytes)
    }
    this.#entries = []
    this.#dirty = []
    this.#frozen = []
    this.#hand = 0
    this.budget.leave(this)
  }

  /** The clock algorithm: one turn at most, unpinned entries that were not used since the last turn go. */
  evict(): void {
    const entries = this.#entries
    for (let steps = entries.length; steps > 0 && this.budget.isFull; steps--) {
      if (this.#hand >= entries.length) this.#hand = 0
      const entry = entries[this.#hand]!
      if (entry.dirty || entry.frozen || entry.used) {
        entry.used = false
        this.#hand++
        continue
      }
      entries[this.#hand] = entries.at(-1)!
      entries.pop()
      this.budget.used(-entry.sizeBytes)
      this.budget.evictions++
      this.forget(entry)
    }
    if (entries.length === 0) this.budget.leave(this)
  }

  #encode(entry: Entry): Buffer | undefined {
    try {
      return entry.value === undefined ? undefined : this.encode(entry)
    } catch (error) {
      throw new UnencodableError(entry.storeKey, error)
    }
  }

  #asWrite(entry: Entry): EngineWrite {
    const encode = () => this.#encode(entry)
    return {
      key: entry.storeKey,
      get value() {
        return encode()
      },
    }
  }

  /** Encoding tells how large the value has become. */
  #resize(entry: Entry, encodedBytes: number): void {
    const grownBytes = sizeOf(entry, encodedBytes) - entry.sizeBytes
    entry.sizeBytes += grownBytes
    this.budget.used(grownBytes)
    this.budget.pinned(grownBytes)
  }
}

/** An estimate: an object takes about three times its encoded size, besides what every entry costs. */
function sizeOf({ storeKey }: { storeKey: Buffer }, encodedBytes: number): number {
  return ENTRY_OVERHEAD_BYTES + storeKey.length * 2 + encodedBytes * 3
}
