import type { Engine, EngineEntry, EngineSnapshot, EngineWrite, KeyRange } from './engine.js'

type Entries = ReadonlyMap<string, EngineEntry>

/** Keeps everything in memory and nothing after: for tests of a topology, and for state that may be restored each time. */
export class MemoryEngine implements Engine {
  #entries = new Map<string, EngineEntry>()
  #closed = false

  open(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  get(key: Buffer): Buffer | undefined {
    this.#check()
    return this.#entries.get(key.toString('latin1'))?.[1]
  }

  entries(range: KeyRange): AsyncIterable<EngineEntry> {
    this.#check()
    return sorted(this.#entries, range)
  }

  async seek(key: Buffer, end: Buffer): Promise<Buffer | undefined> {
    for await (const [first] of this.entries({ from: key, to: end })) return first
    return undefined
  }

  write(writes: readonly EngineWrite[]): Promise<void> {
    this.#check()
    for (const { key, value } of writes) {
      if (value === undefined) this.#entries.delete(key.toString('latin1'))
      else this.#entries.set(key.toString('latin1'), [key, value])
    }
    return Promise.resolve()
  }

  snapshot(): EngineSnapshot {
    this.#check()
    const entries: Entries = new Map(this.#entries)
    return {
      get: (key) => entries.get(key.toString('latin1'))?.[1],
      entries: (range) => sorted(entries, range),
      close: () => Promise.resolve(),
    }
  }

  clear(): Promise<void> {
    this.#entries = new Map()
    return Promise.resolve()
  }

  #check(): void {
    if (this.#closed) throw new Error('the engine is closed')
  }
}

async function* sorted(entries: Entries, { from, to }: KeyRange): AsyncGenerator<EngineEntry> {
  const within = [...entries.values()].filter(([key]) => key.compare(from) >= 0 && key.compare(to) < 0)
  yield* within.sort(([a], [b]) => a.compare(b))
}
