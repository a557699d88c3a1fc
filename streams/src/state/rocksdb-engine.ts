import { createRequire } from 'node:module'
import { messageOf, StreamsError } from '../errors.js'
import type { Engine, EngineEntry, EngineScan, EngineSnapshot, EngineWrite } from './engine.js'

/** What is used of @nxtedition/rocksdb: Level's interface of before promises only, and its own synchronous reads. */
interface RocksLevel {
  open(options: object): Promise<void>
  close(): Promise<void>
  batch(): RocksBatch
  iterator(options: object): RocksIterator
  _getManySync(keys: readonly Buffer[], options: object): (Buffer | undefined)[]
}

interface RocksBatch {
  put(key: Buffer, value: Buffer): RocksBatch
  del(key: Buffer): RocksBatch
  write(options: { sync: boolean }): Promise<void>
}

interface RocksIterator {
  nextv(size: number): Promise<EngineEntry[]>
  close(): Promise<void>
  _seekSync(key: Buffer): void
  /** `rows`: keys and values in turn. */
  _nextvSync(size: number, options: object): { rows: Buffer[]; finished: boolean }
}

const PACKAGE = '@nxtedition/rocksdb'
const BUFFERS = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
/** Its defaults are for one large database; there is one for each task. */
const SIZES = { cacheSize: 8 << 20, memtableMemoryBudget: 16 << 20, compaction: 'level', parallelism: 1 } as const
/** Entries read at a time. */
const CHUNK = 256

/**
 * RocksDB by @nxtedition/rocksdb, an optional package: for state much larger than memory. It checks what it reads by
 * itself: a damaged log ends where the damage begins, and a damaged table is an error when it is read.
 */
export class RocksDbEngine implements Engine {
  readonly storage = 'rocksdb'
  readonly #Rocks = loadRocksDb()
  /** Made when it is opened: making one opens it. */
  #rocks: RocksLevel | undefined
  #isOpen = false
  #closing: Promise<void> | undefined

  /** @throws StreamsError STATE when the package is not there */
  constructor(private readonly directory: string) {}

  async open(): Promise<void> {
    this.#rocks = new this.#Rocks(this.directory, BUFFERS)
    await this.#rocks.open(SIZES)
    this.#isOpen = true
  }

  close(): Promise<void> {
    this.#isOpen = false
    this.#closing ??= this.#rocks?.close() ?? Promise.resolve()
    return this.#closing
  }

  get(key: Buffer): Buffer | undefined {
    return this.#open._getManySync([key], BUFFERS)[0]
  }

  entries({ from, to, reverse = false, limit = -1 }: EngineScan): AsyncIterable<EngineEntry> {
    if (from.compare(to) >= 0) return nothing()
    return read(this.#open.iterator({ ...BUFFERS, gte: from, lt: to, reverse, limit }))
  }

  async write(writes: readonly EngineWrite[], { sync }: { sync: boolean }): Promise<void> {
    const batch = this.#open.batch()
    for (const { key, value } of writes) {
      if (value === undefined) batch.del(key)
      else batch.put(key, value)
    }
    await batch.write({ sync })
  }

  /**
   * The binding has no snapshots, but an iterator is of the moment it is made. Writes are made on this thread, so both
   * directions made one after the other are of one moment; what is asked for is sought with them, some at a time.
   */
  snapshot(): EngineSnapshot {
    const rocks = this.#open
    const [ahead, back] = [false, true].map((reverse) => rocks.iterator({ ...BUFFERS, reverse })) as [
      RocksIterator,
      RocksIterator,
    ]
    return {
      get: (key) => {
        ahead._seekSync(key)
        const [found, value] = ahead._nextvSync(1, {}).rows
        return found?.equals(key) ? value : undefined
      },
      entries: (scan) => (scan.reverse ? descend(back, scan) : ascend(ahead, scan)),
      close: async () => {
        await Promise.all([ahead.close(), back.close()])
      },
    }
  }

  /** The binding itself does not look whether it is open. */
  get #open(): RocksLevel {
    if (!this.#isOpen || this.#rocks === undefined) throw new Error('the engine is not open')
    return this.#rocks
  }
}

/**
 * Loads the package when it is first needed: most installations never do.
 * @throws StreamsError STATE with the command that installs it
 */
export function loadRocksDb(): new (directory: string, options: object) => RocksLevel {
  try {
    const { RocksLevel } = createRequire(import.meta.url)(PACKAGE) as {
      RocksLevel: new (directory: string, options: object) => RocksLevel
    }
    return RocksLevel
  } catch (cause) {
    const [reason] = messageOf(cause).split('\n')
    throw new StreamsError(
      'STATE',
      `the state engine rocksdb needs a package that cannot be loaded (${reason}): npm install ${PACKAGE}@12`,
      {},
      { cause },
    )
  }
}

async function* read(iterator: RocksIterator): AsyncGenerator<EngineEntry> {
  try {
    // The first by itself: often no more is wanted.
    for (let size = 1; ; size = CHUNK) {
      const entries = await iterator.nextv(size)
      if (entries.length === 0) return
      yield* entries
    }
  } finally {
    await iterator.close()
  }
}

async function* nothing(): AsyncGenerator<EngineEntry> {}

/** Others may seek with the same iterator between two chunks, so each one begins where the last one ended. */
async function* ascend(iterator: RocksIterator, { from, to, limit = Number.POSITIVE_INFINITY }: EngineScan) {
  let left = limit
  let next = from.length === 0 ? Buffer.from([0]) : from
  for (let size = 1; left > 0; size = CHUNK) {
    iterator._seekSync(next)
    const { rows, finished } = iterator._nextvSync(Math.min(size, left), {})
    for (const [key, value] of pairs(rows)) {
      if (key.compare(to) >= 0) return
      yield [key, value] as const
      left--
      next = Buffer.concat([key, Buffer.from([0])])
    }
    if (finished) return
    await immediate()
  }
}

async function* descend(iterator: RocksIterator, { from, to, limit = Number.POSITIVE_INFINITY }: EngineScan) {
  let left = limit
  let before = to
  for (let size = 2; left > 0; size = CHUNK) {
    iterator._seekSync(before)
    const { rows, finished } = iterator._nextvSync(Math.min(size, left + 1), {})
    for (const [key, value] of pairs(rows)) {
      // It is found with its bound, which is not part of the range.
      if (key.compare(before) >= 0) continue
      if (key.compare(from) < 0 || left === 0) return
      yield [key, value] as const
      left--
      before = key
    }
    if (finished) return
    await immediate()
  }
}

function* pairs(rows: readonly Buffer[]): Generator<[key: Buffer, value: Buffer]> {
  for (let at = 0; at < rows.length; at += 2) yield [rows[at]!, rows[at + 1]!]
}

/** Reads of a snapshot are synchronous: between chunks others have their turn. */
function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
