import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import type { Engine, EngineEntry, EngineWrite, KeyRange } from '../state/engine.js'
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

/** Read-only, typed access to the committed state of one task. Every value is decoded afresh: it is yours. */
export class TaskView {
  readonly taskId: string
  readonly partition: number
  readonly #engine: Engine
  readonly #clock: { readonly streamTimeMs: number; readonly closingClockMs: number }
  readonly #overlay: ReadonlyMap<string, EngineWrite>

  constructor({ taskId, partition, engine, committedClock, unpersisted = [] }: TaskViewOptions) {
    this.taskId = taskId
    this.partition = partition
    this.#engine = engine
    this.#clock = committedClock
    this.#overlay = new Map(unpersisted.map((write) => [write.key.toString('latin1'), write]))
  }

  /** Newest event time that is committed; -1 before the first record. */
  get streamTimeMs(): number {
    return this.#clock.streamTimeMs
  }

  /** Windows that are due by this moment were announced closed; -1 before the first record. */
  get closingClockMs(): number {
    return this.#clock.closingClockMs
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

  #get(engineKey: Buffer): Buffer | undefined {
    const written = this.#overlay.size === 0 ? undefined : this.#overlay.get(engineKey.toString('latin1'))
    return written === undefined ? this.#engine.get(engineKey) : written.value
  }

  async #entries(range: KeyRange): Promise<EngineEntry[]> {
    const entries: EngineEntry[] = []
    for await (const entry of this.#engine.entries(range)) {
      if (!this.#overlay.has(entry[0].toString('latin1'))) entries.push(entry)
    }
    const { from, to } = range
    let overlaid = false
    for (const { key, value } of this.#overlay.values()) {
      if (value === undefined || key.compare(from) < 0 || key.compare(to) >= 0) continue
      entries.push([key, value])
      overlaid = true
    }
    return overlaid ? entries.sort(([a], [b]) => a.compare(b)) : entries
  }
}
