import type { KeyValueStoreSpec } from '../topology/stores.js'
import type { CacheBudget } from './cache-budget.js'
import type { EngineReads, EngineWrite } from './engine.js'
import { keyIdentity } from './key-identity.js'
import { ObjectCache, type CacheEntry } from './object-cache.js'
import { storePrefix, storeRange } from './store-keys.js'
import { StoredValueCodec } from './stored-value.js'

export interface KeyValueEntry<K, S> extends CacheEntry<S> {
  readonly key: K
  /** Stream time of its last change; kept only with a ttl. */
  changedAtMs: number
}

/** Values are looked at for their age, so many after each commit ... */
const LOOK_AT = 1_000
/** ... or so many for each that the commit wrote, where that is more: a round must outrun the keys that come meanwhile ... */
const LOOK_AT_PER_CHANGE = 4
/** ... in rounds at most so many times per ttl: a value outlives its ttl in the engine by an eighth of it. */
const ROUNDS_PER_TTL = 8

/** A key-value store as its task uses it: live objects in front of the engine, found synchronously. */
export class KeyValueStore<K, S> extends ObjectCache<KeyValueEntry<K, S>> {
  readonly #entries = new Map<string | number, KeyValueEntry<K, S>>()
  readonly #prefix: Buffer
  readonly #codec: StoredValueCodec<S>
  #round = newRound(Number.NEGATIVE_INFINITY)
  /** Engine keys of values that were over when they were looked at; deleted by the next commit. */
  #over: Buffer[] = []
  /** How many entries the last freeze took. Deletions of what is over do not count: they would call for ever more. */
  #changes = 0

  constructor(
    readonly spec: KeyValueStoreSpec<K, S>,
    private readonly engine: EngineReads,
    budget: CacheBudget,
    /** Stream time decides what is over, so that every owner of the task finds the same. */
    private readonly clock: { readonly streamTimeMs: number },
  ) {
    super(budget)
    this.#prefix = storePrefix(spec.name)
    this.#codec = new StoredValueCodec(spec)
  }

  /** The entry of a key, read from the engine at the first use; its value is undefined where there is none. */
  entry(key: K): KeyValueEntry<K, S> {
    const identity = keyIdentity(key, this.spec.key)
    const known = this.#entries.get(identity)
    if (known !== undefined) {
      known.used = true
      this.budget.hits++
      if (this.#isOver(known)) known.value = undefined
      return known
    }
    const storeKey = this.spec.key.encode(key)
    const bytes = this.engine.get(Buffer.concat([this.#prefix, storeKey]))
    const entry: KeyValueEntry<K, S> = {
      key,
      storeKey,
      value: bytes === undefined ? undefined : this.#codec.decode(bytes, this.clock.streamTimeMs),
      changedAtMs: bytes === undefined ? 0 : this.#codec.changedAtMs(bytes),
      dirty: false,
      frozen: false,
      used: true,
      sizeBytes: 0,
    }
    this.#entries.set(identity, entry)
    return this.add(entry, bytes?.length ?? 64)
  }

  override changed(entry: KeyValueEntry<K, S>): void {
    entry.changedAtMs = this.clock.streamTimeMs
    super.changed(entry)
  }

  pinned(storeKey: Buffer): EngineWrite | undefined {
    return this.asPinned(this.#cached(storeKey))
  }

  /** Besides what changed, values found to be over since the last freeze are deleted. */
  override freeze(): EngineWrite[] {
    const over = this.#over
    this.#over = []
    const deleted = over.map((engineKey) => engineKey.subarray(this.#prefix.length)).filter((key) => this.#letGo(key))
    const changed = super.freeze()
    this.#changes = changed.length
    return [...changed, ...deleted.map((key) => ({ key, value: undefined }))]
  }

  override clear(): void {
    super.clear()
    this.#entries.clear()
    this.#round = newRound(Number.NEGATIVE_INFINITY)
    this.#over = []
    this.#changes = 0
  }

  /**
   * Looks at the next values of the engine for those that are over, when a round is due. What it finds is never seen by
   * anyone; the next freeze deletes it, in the engine and in the changelog.
   */
  async findExpired(): Promise<void> {
    const { ttlMs } = this.spec
    const { streamTimeMs } = this.clock
    if (ttlMs === undefined || streamTimeMs < this.#round.beginsAtMs || this.#over.length > 0) return
    const round = this.#round
    const range = storeRange(this.spec.name)
    const limit = Math.max(LOOK_AT, LOOK_AT_PER_CHANGE * this.#changes)
    const found: Buffer[] = []
    let seen = 0
    for await (const [key, value] of this.engine.entries({
      ...range,
      from: round.from ?? range.from,
      limit,
    })) {
      seen++
      const changedAtMs = this.#codec.changedAtMs(value)
      if (this.#codec.isOver(changedAtMs, streamTimeMs)) found.push(key)
      else round.nextDueMs = Math.min(round.nextDueMs, changedAtMs + ttlMs)
      round.from = Buffer.concat([key, Buffer.from([0])])
    }
    // Dropped meanwhile: what was read belongs to state that is not used any more.
    if (round !== this.#round) return
    this.#over = found
    if (seen < limit) {
      // Whatever changed since this round began is over later than what it has seen, or a ttl from now.
      const dueMs = Math.min(round.nextDueMs, streamTimeMs + ttlMs)
      this.#round = newRound(Math.max(dueMs, streamTimeMs + ttlMs / ROUNDS_PER_TTL))
    }
  }

  protected override encode({ value, changedAtMs }: KeyValueEntry<K, S>): Buffer {
    return this.#codec.encode(value!, changedAtMs)
  }

  protected override forget({ key }: KeyValueEntry<K, S>): void {
    this.#entries.delete(keyIdentity(key, this.spec.key))
  }

  #isOver({ value, changedAtMs }: KeyValueEntry<K, S>): boolean {
    return value !== undefined && this.#codec.isOver(changedAtMs, this.clock.streamTimeMs)
  }

  /** Whether a value that was found to be over still stands in the engine and nowhere else. */
  #letGo(storeKey: Buffer): boolean {
    const cached = this.#cached(storeKey)
    if (cached !== undefined) {
      if (cached.dirty || (cached.value !== undefined && !this.#isOver(cached))) return false
      cached.value = undefined
    }
    const bytes = this.engine.get(Buffer.concat([this.#prefix, storeKey]))
    return bytes !== undefined && this.#codec.isOver(this.#codec.changedAtMs(bytes), this.clock.streamTimeMs)
  }

  #cached(storeKey: Buffer): KeyValueEntry<K, S> | undefined {
    return this.#entries.get(keyIdentity(this.spec.key.decode(storeKey, 0, storeKey.length), this.spec.key))
  }
}

/** One look at every value. */
interface Round {
  /** Stream time. */
  readonly beginsAtMs: number
  /** Engine key to go on at; undefined = it has not begun. */
  from: Buffer | undefined
  /** When the first of the values seen will be over. */
  nextDueMs: number
}

function newRound(beginsAtMs: number): Round {
  return { beginsAtMs, from: undefined, nextDueMs: Number.POSITIVE_INFINITY }
}
