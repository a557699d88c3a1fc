import { ClassicLevel } from 'classic-level'
import { damageOfLevelDb } from './leveldb-check.js'
import type { Engine, EngineEntry, EngineScan, EngineSnapshot, EngineWrite } from './engine.js'

type Level = ClassicLevel<Buffer, Buffer>

/** LevelDB by classic-level: the default engine. Its directory belongs to it alone, and to one process at a time. */
export class LevelDbEngine implements Engine {
  readonly storage = 'leveldb'
  /** Made when it is opened: making one opens it. */
  #opened: Level | undefined
  #closing: Promise<void> | undefined

  constructor(private readonly directory: string) {}

  findDamage(): Promise<string | undefined> {
    return damageOfLevelDb(this.directory)
  }

  async open(): Promise<void> {
    this.#opened = new ClassicLevel<Buffer, Buffer>(this.directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      cacheSize: 8 << 20,
      writeBufferSize: 4 << 20,
    })
    await this.#opened.open()
  }

  close(): Promise<void> {
    this.#closing ??= this.#opened?.close() ?? Promise.resolve()
    return this.#closing
  }

  get(key: Buffer): Buffer | undefined {
    return this.#level.getSync(key)
  }

  entries({ from, to, reverse = false, limit = -1 }: EngineScan): AsyncIterable<EngineEntry> {
    return this.#level.iterator({ gte: from, lt: to, reverse, limit })
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

  get #level(): Level {
    if (this.#opened === undefined) throw new Error('the engine is not open')
    return this.#opened
  }
}
