/** What holds objects that may be let go. */
export interface Evictable {
  /** Goes round once at most, letting go what was not used lately, until the budget is no longer full. */
  evict(): void
}

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
  /** Those that hold something; the one to be asked next comes first. */
  readonly #caches = new Set<Evictable>()

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

  /** Takes part in eviction from now on; `leave()` when it holds nothing any more. */
  join(cache: Evictable): void {
    this.#caches.add(cache)
  }

  leave(cache: Evictable): void {
    this.#caches.delete(cache)
  }

  /**
   * Makes room after a commit of `own`: there first, then in one other, each time the next one, so that objects of a
   * store that commits nothing go too and a commit never looks at everything.
   */
  evict(own: Evictable): void {
    if (this.isFull) own.evict()
    if (!this.isFull) return
    const [next] = this.#caches
    if (next === undefined) return
    this.#caches.delete(next)
    this.#caches.add(next)
    if (next !== own) next.evict()
  }
}
