import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import type { Engine, EngineEntry, EngineSnapshot, EngineWrite, KeyRange } from '../state/engine.js'
import { storePrefix, storeRange, windowKey, windowKeyAt, windowStartOf } from '../state/store-keys.js'
import { storedWindowCodec, type StoredWindow } from '../state/window-store.js'

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

export interface TaskViewOptions {
  taskId: string
  partition: number
  engine: Engine
  committedClock: { readonly streamTimeMs: number; readonly closingClockMs: number }
  /** What is committed but not in the engine yet, by engine key; empty most of the time. */
  unpersisted?: readonly EngineWrite[]
}

export interface KeyValueView<K, V> {
  get(key: K): V | undefined
  /** Every key and value, ascending by the bytes of the key. */
  all(): Promise<[K, V][]>
}

export interface WindowView<K, S> {
  get(key: K, startMs: number): StoredWindow<S> | undefined
  /** The windows of a key that start from `fromMs` to `toMs`, both inclusive, ascending. */
  fetch(key: K, fromMs: number, toMs: number): Promise<StoredWindow<S>[]>
}

/** Read-only, typed access to the committed state of one task at one moment. Every value is decoded afresh: it is yours. */
export class TaskView {
  readonly taskId: string
  readonly partition: number
  readonly #engine: Engine
  readonly #unpersisted: readonly EngineWrite[]
  /** Newest event time that is committed; -1 before the first record. */
  readonly streamTimeMs: number
  /** Windows that are due by this moment were announced closed; -1 before the first record. */
  readonly closingClockMs: number
  #moment: { snapshot: EngineSnapshot; overlay: ReadonlyMap<string, EngineWrite> } | undefined

  constructor({ taskId, partition, engine, committedClock, unpersisted = [] }: TaskViewOptions) {
    this.taskId = taskId
    this.partition = partition
    this.#engine = engine
    this.streamTimeMs = committedClock.streamTimeMs
    this.closingClockMs = committedClock.closingClockMs
    this.#unpersisted = unpersisted
  }

  /** Lets go of the moment it shows; to be called when the query is answered. */
  async close(): Promise<void> {
    await this.#moment?.snapshot.close()
    this.#moment = undefined
  }

  keyValue<K, V>(spec: KeyValueStoreSpec<K, V>): KeyValueView<K, V> {
    const prefix = storePrefix(spec.name)
    return {
      get: (key) => {
        const bytes = this.#get(Buffer.concat([prefix, spec.key.encode(key)]))
        return bytes === undefined ? undefined : spec.value.decode(bytes, 0, bytes.length)
      },
      all: async () => {
        const entries = await this.#entries(storeRange(spec.name))
        return entries.map(([key, value]) => [
          spec.key.decode(key, prefix.length, key.length),
          spec.value.decode(value, 0, value.length),
        ])
      },
    }
  }

  window<K, S>(spec: WindowStoreSpec<K, S>): WindowView<K, S> {
    const prefix = storePrefix(spec.name)
    const codec = storedWindowCodec(spec.value)
    const keyAt = (key: K, startMs: number) => Buffer.concat([prefix, windowKey(spec.key.encode(key), startMs)])
    return {
      get: (key, startMs) => {
        const bytes = this.#get(keyAt(key, startMs))
        return bytes === undefined ? undefined : codec.decode(bytes, startMs)
      },
      fetch: async (key, fromMs, toMs) => {
        if (toMs < fromMs) return []
        const from = keyAt(key, Math.max(0, fromMs))
        const to = windowKeyAt(from, Math.min(toMs, Number.MAX_SAFE_INTEGER - 1) + 1)
        const entries = await this.#entries({ from, to })
        return entries.map(([bytes, value]) => codec.decode(value, windowStartOf(bytes)))
      },
    }
  }

  /** One moment for all reads of a query: commits that come meanwhile are not seen. */
  get #now() {
    this.#moment ??= {
      snapshot: this.#engine.snapshot(),
      overlay: new Map(this.#unpersisted.map((write) => [write.key.toString('latin1'), write])),
    }
    return this.#moment
  }

  #get(engineKey: Buffer): Buffer | undefined {
    const { snapshot, overlay } = this.#now
    const written = overlay.size === 0 ? undefined : overlay.get(engineKey.toString('latin1'))
    return written === undefined ? snapshot.get(engineKey) : written.value
  }

  async #entries(range: KeyRange): Promise<EngineEntry[]> {
    const { snapshot, overlay } = this.#now
    const entries: EngineEntry[] = []
    for await (const entry of snapshot.entries(range)) {
      if (!overlay.has(entry[0].toString('latin1'))) entries.push(entry)
    }
    const { from, to } = range
    const overlaid = [...overlay.values()].flatMap(({ key, value }): EngineEntry[] =>
      value === undefined || key.compare(from) < 0 || key.compare(to) >= 0 ? [] : [[key, value]],
    )
    return overlaid.length === 0 ? entries : [...entries, ...overlaid].sort(([a], [b]) => a.compare(b))
  }
}
