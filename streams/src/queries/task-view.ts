import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import type { StoreRange } from '../state/overlay.js'
import { keyBoundsOf, keyEnd, windowKey, windowKeyAt, windowStartOf } from '../state/store-keys.js'
import { StoredValueCodec } from '../state/stored-value.js'
import { retainedFromMs, storedWindowCodec, type StoredWindow } from '../state/window-store.js'
import type { Isolation, TaskReads } from './task-reads.js'

/** A parameter of a query is wrong: answered with the status and the message. */
export class QueryError extends Error {
  readonly code = 'BAD_REQUEST'
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
    this.name = 'QueryError'
  }
}

/** How a range is gone through. */
export interface ScanOptions {
  /** At most so many results. */
  limit?: number
  /** Descending instead of ascending; the bounds stay what they are. */
  reverse?: boolean
}

/** Which keys: all that hold of what is given. Keys are ordered by their bytes, as their serde writes them. */
export interface KeyRangeOptions<K> extends ScanOptions {
  /** This key or one after it. */
  from?: K
  /** This key or one before it. */
  to?: K
  /** Keys whose bytes begin with these, or with those of this key. */
  prefix?: K | Buffer
}

/** A key-value store of one task. */
export interface KeyValueView<K, V> {
  /** The value of a key; undefined = there is none, or its ttl is over. */
  get(key: K): V | undefined
  /** Keys and values, ascending by the bytes of the key; read as they are asked for, so stop when you have enough. */
  range(options?: KeyRangeOptions<K>): AsyncIterable<[K, V]>
  /** The same as an array: without `limit`, the whole range is held in memory. */
  all(options?: KeyRangeOptions<K>): Promise<[K, V][]>
}

/** A window store of one task. */
export interface WindowView<K, S> {
  /** The window of a key that starts at this moment; undefined = there is none, or it is not kept any more. */
  get(key: K, startMs: number): StoredWindow<S> | undefined
  /** The windows of a key that start from `fromMs` to `toMs`, both inclusive, ascending by start. */
  fetch(key: K, fromMs: number, toMs: number, options?: ScanOptions): Promise<StoredWindow<S>[]>
  /** As fetch(), read as they are asked for. */
  scan(key: K, fromMs: number, toMs: number, options?: ScanOptions): AsyncIterable<StoredWindow<S>>
  /**
   * The windows of all keys that start from `fromMs` to `toMs`, both inclusive: key after key (shorter keys first, then
   * by bytes), each ascending by start. Read as they are asked for; costs one seek per key, whatever else the key has.
   */
  fetchAll(fromMs: number, toMs: number, options?: { limit?: number }): AsyncIterable<[K, StoredWindow<S>]>
}

/** Of which task a view is, and how it reads. */
export interface TaskViewOptions {
  taskId: string
  partition: number
  reads: TaskReads
}

/**
 * Read-only, typed access to the state of one task. Every value is decoded afresh: it is yours. With isolation
 * `committed` all reads show one moment; with `latest` each read shows its own, and what may still be rolled back.
 */
export class TaskView {
  readonly taskId: string
  readonly partition: number
  readonly #reads: TaskReads

  /** @internal */
  constructor({ taskId, partition, reads }: TaskViewOptions) {
    this.taskId = taskId
    this.partition = partition
    this.#reads = reads
  }

  get isolation(): Isolation {
    return this.#reads.isolation
  }

  /** Newest event time that is shown; -1 before the first record. */
  get streamTimeMs(): number {
    return this.#reads.times.streamTimeMs
  }

  /** Windows that are due by this moment were announced closed; -1 before the first record. */
  get closingClockMs(): number {
    return this.#reads.times.closingClockMs
  }

  /** Lets go of the moment it shows; to be called when the query is answered. */
  async close(): Promise<void> {
    await this.#reads.close()
  }

  /** A key-value store of the task, by the spec it was made with. */
  keyValue<K, V>(spec: KeyValueStoreSpec<K, V>): KeyValueView<K, V> {
    const reads = this.#reads
    const codec = new StoredValueCodec(spec)
    async function* range(options: KeyRangeOptions<K> = {}): AsyncGenerator<[K, V]> {
      const { limit = Number.POSITIVE_INFINITY, reverse = false } = options
      const range = keyRange(spec, options)
      let left = limit
      if (left <= 0) return
      // Values that are over do not count, so where there is a ttl the engine cannot be told how many are wanted.
      const most = spec.ttlMs === undefined ? limited(limit) : {}
      for await (const [key, bytes] of reads.part(spec.name, range)({ ...range, reverse, ...most })) {
        const value = codec.decode(bytes, reads.times.streamTimeMs)
        if (value === undefined) continue
        yield [spec.key.decode(key, 0, key.length), value]
        if (--left === 0) return
      }
    }
    return {
      get: (key) => {
        const bytes = reads.get(spec.name, spec.key.encode(key))
        return bytes === undefined ? undefined : codec.decode(bytes, reads.times.streamTimeMs)
      },
      range,
      all: (options) => collect(range(options)),
    }
  }

  /** A window store of the task, by the spec it was made with. */
  window<K, S>(spec: WindowStoreSpec<K, S>): WindowView<K, S> {
    const reads = this.#reads
    const codec = storedWindowCodec(spec.value)

    async function* scan(key: K, fromMs: number, toMs: number, { limit, reverse = false }: ScanOptions = {}) {
      const starts = startsWithin(spec, reads, fromMs, toMs)
      if (starts === undefined) return
      const from = windowKey(spec.key.encode(key), starts.fromMs)
      const range = { from, to: windowKeyAt(from, starts.endMs) }
      for await (const [bytes, value] of reads.part(spec.name, range)({ ...range, reverse, ...limited(limit) })) {
        yield codec.decode(value, windowStartOf(bytes))
      }
    }

    async function* fetchAll(
      fromMs: number,
      toMs: number,
      { limit = Number.POSITIVE_INFINITY }: { limit?: number } = {},
    ): AsyncGenerator<[K, StoredWindow<S>]> {
      const starts = startsWithin(spec, reads, fromMs, toMs)
      if (starts === undefined || limit <= 0) return
      const part = reads.part(spec.name, { from: Buffer.alloc(0), to: undefined })
      let left = limit
      let after: Buffer = Buffer.alloc(0)
      for (;;) {
        const [first] = await collect(part({ from: after, to: undefined, limit: 1 }))
        if (first === undefined) return
        const [anyOfKey] = first
        const { keyStart, keyEnd } = keyBoundsOf(anyOfKey)
        const range = { from: windowKeyAt(anyOfKey, starts.fromMs), to: windowKeyAt(anyOfKey, starts.endMs) }
        for await (const [bytes, value] of part({ ...range, ...limited(left) })) {
          yield [spec.key.decode(bytes, keyStart, keyEnd), codec.decode(value, windowStartOf(bytes))]
          if (--left === 0) return
        }
        after = windowKeyAt(anyOfKey, Number.MAX_SAFE_INTEGER)
      }
    }

    return {
      get: (key, startMs) => {
        if (startMs < retainedFromMs(spec, reads.times)) return undefined
        const bytes = reads.get(spec.name, windowKey(spec.key.encode(key), startMs))
        return bytes === undefined ? undefined : codec.decode(bytes, startMs)
      },
      fetch: (...parameters) => collect(scan(...parameters)),
      scan,
      fetchAll,
    }
  }
}

/** The part of a store that the options name; its end is before its beginning where nothing can lie in it. */
function keyRange<K>({ key }: { key: KeyValueStoreSpec<K, unknown>['key'] }, options: KeyRangeOptions<K>): StoreRange {
  const { from, to, prefix } = options
  let first: Buffer = from === undefined ? Buffer.alloc(0) : key.encode(from)
  let end: Buffer | undefined = to === undefined ? undefined : Buffer.concat([key.encode(to), Buffer.from([0])])
  if (prefix !== undefined) {
    const bytes = Buffer.isBuffer(prefix) ? prefix : key.encode(prefix)
    const afterAll = keyEnd(bytes)
    if (bytes.compare(first) > 0) first = bytes
    if (afterAll !== undefined && (end === undefined || afterAll.compare(end) < 0)) end = afterAll
  }
  return { from: first, to: end }
}

/** The first start and the one after the last, of windows that are kept; undefined where there can be none. */
function startsWithin(spec: { retentionMs: number }, { times }: TaskReads, fromMs: number, toMs: number) {
  const first = Math.max(0, fromMs, retainedFromMs(spec, times))
  if (toMs < first) return undefined
  return { fromMs: first, endMs: Math.min(toMs, Number.MAX_SAFE_INTEGER - 1) + 1 }
}

function limited(limit: number | undefined): { limit?: number } {
  return limit === undefined || limit === Number.POSITIVE_INFINITY ? {} : { limit }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
