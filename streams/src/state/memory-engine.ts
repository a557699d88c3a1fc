import type { Engine, EngineEntry, EngineScan, EngineSnapshot, EngineWrite } from './engine.js'

/** Keeps everything in memory and nothing after: for tests of a topology, and for state that may be restored each time. */
export class MemoryEngine implements Engine {
  readonly storage = undefined
  #entries = new SortedEntries()
  #closed = false

  open(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  get(key: Buffer): Buffer | undefined {
    return this.#open.get(key)
  }

  entries(scan: EngineScan): AsyncIterable<EngineEntry> {
    return this.#open.share().scan(scan)
  }

  async write(writes: readonly EngineWrite[]): Promise<void> {
    this.#entries = this.#open.own()
    for (const { key, value } of writes) this.#entries.set(key, value)
  }

  snapshot(): EngineSnapshot {
    const entries = this.#open.share()
    return {
      get: (key) => entries.get(key),
      entries: (scan) => entries.scan(scan),
      close: () => Promise.resolve(),
    }
  }

  get #open(): SortedEntries {
    if (this.#closed) throw new Error('the engine is closed')
    return this.#entries
  }
}

/**
 * Entries by key. Once shared with a reader they are not changed any more: whoever writes takes a copy. The order is
 * found at the first scan after keys came or went. Texts of one byte a character sort as their bytes do.
 */
class SortedEntries {
  readonly #byKey: Map<string, EngineEntry>
  #sorted: readonly string[] | undefined
  #shared = false

  constructor(byKey = new Map<string, EngineEntry>(), sorted?: readonly string[]) {
    this.#byKey = byKey
    this.#sorted = sorted
  }

  share(): this {
    this.#shared = true
    return this
  }

  /** These entries for writing. */
  own(): SortedEntries {
    return this.#shared ? new SortedEntries(new Map(this.#byKey), this.#sorted) : this
  }

  get(key: Buffer): Buffer | undefined {
    return this.#byKey.get(key.toString('latin1'))?.[1]
  }

  set(key: Buffer, value: Buffer | undefined): void {
    const text = key.toString('latin1')
    if (this.#byKey.has(text) === (value === undefined)) this.#sorted = undefined
    if (value === undefined) this.#byKey.delete(text)
    // Copied: they may be views into a chunk of a changelog, and all of it would stay for one key.
    else this.#byKey.set(text, [Buffer.from(key), Buffer.from(value)])
  }

  async *scan({
    from,
    to,
    reverse = false,
    limit = Number.POSITIVE_INFINITY,
  }: EngineScan): AsyncGenerator<EngineEntry> {
    this.#sorted ??= [...this.#byKey.keys()].sort()
    const first = this.#indexOf(from)
    const end = this.#indexOf(to)
    for (let count = 0; count < Math.min(limit, end - first); count++) {
      yield this.#byKey.get(this.#sorted[reverse ? end - 1 - count : first + count]!)!
    }
  }

  /** How many keys are smaller. */
  #indexOf(key: Buffer): number {
    const text = key.toString('latin1')
    const sorted = this.#sorted!
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sorted[middle]! < text) low = middle + 1
      else high = middle
    }
    return low
  }
}
