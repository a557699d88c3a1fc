import { ClassicLevel } from 'classic-level'
import type { Engine, EngineEntry, EngineScan, EngineSnapshot, EngineWrite } from './engine.js'

type Level = ClassicLevel<Buffer, Buffer>

/** LevelDB by classic-level: the default engine. Its directory belongs to it alone, and to one process at a time. */
export class LevelDbEngine implements Engine {
  readonly #level: Level
  #closing: Promise<void> | undefined

  constructor(directory: string) {
    this.#level = new ClassicLevel<Buffer, Buffer>(directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      cacheSize: 8 << 20,
      writeBufferSize: 4 << 20,
    })
  }

  async open(): Promise<void> {
    await this.#level.open()
  }

  close(): Promise<void> {
    this.#closing ??= this.#level.close()
    return this.#closing
  }

  get(key: Buffer): Buffer | undefined {
    return this.#level.getSync(key)
  }

  entries({ from, to, reverse = false, limit = -1 }: EngineScan): AsyncIterable<EngineEntry> {
    return this.#level.iterator({ gte: from, lt: to, reverse, limit })
  }

  async seek(key: Buffer, end: Buffer): Promise<Buffer | undefined> {
    const [first] = await this.#level.keys({ gte: key, lt: end, limit: 1 }).all()
    return first
  }

  async write(writes: readonly EngineWrite[], { sync }: { sync: boolean }): Promise<void> {
    const batch = this.#level.batch()
    for (const { key, value } of writes) {
      if (value === undefined) batch.del(key)
      else batch.put(key, value)
    }
    await batch.write({ sync })
  }

  snapshot(): EngineSnapshot {
    const level = this.#level
    const snapshot = level.snapshot()
    return {
      get: (key) => level.getSync(key, { snapshot } as object),
      entries: ({ from, to, reverse = false, limit = -1 }) =>
        level.iterator({ gte: from, lt: to, reverse, limit, snapshot }),
      close: () => snapshot.close(),
    }
  }

  clear(): Promise<void> {
    return this.#level.clear()
  }
}
