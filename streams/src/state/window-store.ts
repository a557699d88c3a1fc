import type { Serde } from '../serde.js'
import type { WindowStoreSpec } from '../topology/stores.js'
import { firstKey, type EngineReads, type EngineWrite } from './engine.js'
import { keyIdentity } from './key-identity.js'
import type { CacheBudget } from './cache-budget.js'
import { ObjectCache, type CacheEntry } from './object-cache.js'
import { keyBoundsOf, storePrefix, storeRange, windowKey, windowKeyAt, windowStartOf } from './store-keys.js'

/** What a window store keeps: the state, whether it was announced closed, and the last revision announced. */
export interface StoredWindow<S> {
  readonly startMs: number
  value: S
  closed: boolean
  revision: number
}

export interface WindowStoreEntry<K, S> extends CacheEntry<StoredWindow<S>> {
  readonly key: K
  readonly startMs: number
  /** Wall clock of the last announcement while open; memory only, since a trailing one always follows. */
  announcedAtMs: number
}

/** All cached windows of one key, and the one used last: records of a key mostly fall into the same window. */
interface KeyWindows<K, S> {
  readonly keyBytes: Buffer
  readonly entries: Map<number, WindowStoreEntry<K, S>>
  last: WindowStoreEntry<K, S> | undefined
}

/** Layout of a stored window: 1 byte flags (bit 0: closed), 4 bytes revision (-1: none announced), then the value. */
const HEADER_BYTES = 5

/** How stored windows are written in the engine and in the changelog. */
export function storedWindowCodec<S>(value: Serde<S>) {
  return {
    encode({ value: state, closed, revision }: StoredWindow<S>): Buffer {
      const header = Buffer.allocUnsafe(HEADER_BYTES)
      header.writeUInt8(closed ? 1 : 0, 0)
      header.writeInt32BE(revision, 1)
      return Buffer.concat([header, value.encode(state)])
    },
    decode(bytes: Buffer, startMs: number): StoredWindow<S> {
      return {
        startMs,
        value: value.decode(bytes, HEADER_BYTES, bytes.length),
        closed: (bytes.readUInt8(0) & 1) === 1,
        revision: bytes.readInt32BE(1),
      }
    },
  }
}

/**
 * Windows that start before this moment are over and gone: they are never shown, whether they were dropped already or
 * not, so that every owner of a task answers alike. Retention follows stream time, but lets nothing go that the closing
 * clock has still to announce.
 */
export function retainedFromMs(
  { retentionMs }: { readonly retentionMs: number },
  { streamTimeMs, closingClockMs }: { readonly streamTimeMs: number; readonly closingClockMs: number },
): number {
  return Math.min(streamTimeMs, closingClockMs) - retentionMs
}

/** A window store as its task uses it: live objects in front of the engine, found synchronously. */
export class WindowStore<K, S> extends ObjectCache<WindowStoreEntry<K, S>> {
  readonly #keys = new Map<string | number, KeyWindows<K, S>>()
  readonly #prefix: Buffer
  readonly #codec: ReturnType<typeof storedWindowCodec<S>>

  constructor(
    readonly spec: WindowStoreSpec<K, S>,
    private readonly engine: EngineReads,
    budget: CacheBudget,
  ) {
    super(budget)
    this.#prefix = storePrefix(spec.name)
    this.#codec = storedWindowCodec(spec.value)
  }

  /** The entry of a window, read from the engine at the first use; its value is undefined where there is none. */
  entry(key: K, startMs: number): WindowStoreEntry<K, S> {
    const windows = this.#windowsOf(key)
    const last = windows.last
    if (last?.startMs === startMs) {
      last.used = true
      this.budget.hits++
      return last
    }
    let entry = windows.entries.get(startMs)
    if (entry === undefined) {
      entry = this.#read(key, windows, startMs)
    } else {
      entry.used = true
      this.budget.hits++
    }
    windows.last = entry
    return entry
  }

  /** A window to be looked at and not changed: once the cache is full, nothing more is kept for that. */
  peek(key: K, startMs: number): StoredWindow<S> | undefined {
    const windows = this.#keys.get(keyIdentity(key, this.spec.key))
    if (!this.budget.isFull || windows?.entries.has(startMs) === true) return this.entry(key, startMs).value
    const storeKey = windowKey(windows?.keyBytes ?? this.spec.key.encode(key), startMs)
    const bytes = this.engine.get(Buffer.concat([this.#prefix, storeKey]))
    return bytes === undefined ? undefined : this.#codec.decode(bytes, startMs)
  }

  pinned(storeKey: Buffer): EngineWrite | undefined {
    const { keyStart, keyEnd } = keyBoundsOf(storeKey)
    const key = this.spec.key.decode(storeKey, keyStart, keyEnd)
    const windows = this.#keys.get(keyIdentity(key, this.spec.key))
    return this.asPinned(windows?.entries.get(windowStartOf(storeKey)))
  }

  override clear(): void {
    super.clear()
    this.#keys.clear()
  }

  /** Every window in the engine that starts at `fromMs` or later, found by one seek per key. */
  async *windowsFrom(fromMs: number): AsyncGenerator<{ key: K; startMs: number; window: StoredWindow<S> }> {
    const at = this.#prefix.length
    const first = Math.max(0, fromMs)
    for await (const keyOfWindows of this.#distinctKeys()) {
      const from = windowKeyAt(keyOfWindows, first)
      const to = windowKeyAt(keyOfWindows, Number.MAX_SAFE_INTEGER)
      for await (const [bytes, value] of this.engine.entries({ from, to })) {
        const { keyStart, keyEnd } = keyBoundsOf(bytes, at)
        const startMs = windowStartOf(bytes)
        yield {
          key: this.spec.key.decode(bytes, keyStart, keyEnd),
          startMs,
          window: this.#codec.decode(value, startMs),
        }
      }
    }
  }

  /**
   * For one key of the store after the other, the engine keys of its windows that start before `beforeMs`, at most `limit`
   * at a time: what retention lets go. Between two of them it holds nothing open: it may rest there for as long as one
   * likes, or be forgotten.
   */
  async *expired(beforeMs: number, limit: number): AsyncGenerator<readonly Buffer[]> {
    if (beforeMs <= 0) return
    for await (const keyOfWindows of this.#distinctKeys()) {
      const to = windowKeyAt(keyOfWindows, beforeMs)
      let from: Buffer | undefined = windowKeyAt(keyOfWindows, 0)
      while (from !== undefined) {
        const found: Buffer[] = []
        for await (const [bytes] of this.engine.entries({ from, to, limit })) found.push(bytes)
        yield found
        from = found.length < limit ? undefined : Buffer.concat([found.at(-1)!, Buffer.of(0)])
      }
    }
  }

  /** One engine key per key of the store: any of its windows. */
  async *#distinctKeys(): AsyncGenerator<Buffer> {
    const { from, to } = storeRange(this.spec.name)
    let next = await firstKey(this.engine, { from, to })
    while (next !== undefined) {
      yield next
      next = await firstKey(this.engine, { from: windowKeyAt(next, Number.MAX_SAFE_INTEGER), to })
    }
  }

  #windowsOf(key: K): KeyWindows<K, S> {
    const identity = keyIdentity(key, this.spec.key)
    let windows = this.#keys.get(identity)
    if (windows === undefined) {
      windows = { keyBytes: this.spec.key.encode(key), entries: new Map(), last: undefined }
      this.#keys.set(identity, windows)
    }
    return windows
  }

  #read(key: K, windows: KeyWindows<K, S>, startMs: number): WindowStoreEntry<K, S> {
    const storeKey = windowKey(windows.keyBytes, startMs)
    const bytes = this.engine.get(Buffer.concat([this.#prefix, storeKey]))
    const value = bytes === undefined ? undefined : this.#codec.decode(bytes, startMs)
    const entry: WindowStoreEntry<K, S> = {
      key,
      startMs,
      storeKey,
      value,
      dirty: false,
      frozen: false,
      used: true,
      sizeBytes: 0,
      announcedAtMs: Number.NEGATIVE_INFINITY,
    }
    windows.entries.set(startMs, entry)
    return this.add(entry, bytes?.length ?? 128)
  }

  protected override encode(entry: WindowStoreEntry<K, S>): Buffer {
    return this.#codec.encode(entry.value!)
  }

  protected override forget(entry: WindowStoreEntry<K, S>): void {
    const windows = this.#windowsOf(entry.key)
    windows.entries.delete(entry.startMs)
    if (windows.last === entry) windows.last = undefined
    if (windows.entries.size === 0) this.#keys.delete(keyIdentity(entry.key, this.spec.key))
  }
}
