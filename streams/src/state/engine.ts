/** One change of an engine: a value, or `undefined` to delete the key. */
export interface EngineWrite {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

/** From `from` (inclusive) to `to` (exclusive), by the order of bytes. */
export interface KeyRange {
  readonly from: Buffer
  readonly to: Buffer
}

/** A range, and how it is gone through. */
export interface EngineScan extends KeyRange {
  /** Descending by key; the bounds stay what they are. */
  readonly reverse?: boolean
  /** At most so many entries. */
  readonly limit?: number
}

/** A key and its value. */
export type EngineEntry = readonly [key: Buffer, value: Buffer]

/** What can be read, of an engine or of one moment of it. Buffers it returns must not be changed. */
export interface EngineReads {
  /** Synchronous, because records are processed synchronously; a miss costs a few microseconds. */
  get(key: Buffer): Buffer | undefined
  /** By the order of keys, as of the moment of the call; read as it is iterated, not before. */
  entries(scan: EngineScan): AsyncIterable<EngineEntry>
}

/** Reads of one moment. Close it: an open snapshot keeps old data on disk. */
export interface EngineSnapshot extends EngineReads {
  /** Lets go of the moment. */
  close(): Promise<void>
}

/**
 * Where a task keeps its state: an ordered map from bytes to bytes on this machine. Every engine keeps the same
 * contract (engine.suite.ts): a batch is applied whole or not at all, reads see all batches that were applied, what was
 * written with `sync` survives a power cut, and after a crash there is what was written up to some moment.
 *
 * Its errors carry Level's codes, themselves or in their cause: LEVEL_CORRUPTION where it meets damage, LEVEL_LOCKED
 * where another process has it open.
 */
export interface Engine extends EngineReads {
  /** What the files in its directory are: one engine never opens those of another. Undefined = it has none. */
  readonly storage: string | undefined
  /**
   * To be called before open(): whether what lies there is whole, for an engine that would open over damage. Leaves the
   * files as they are.
   * @returns what is damaged, in words
   */
  findDamage?(): Promise<string | undefined>
  /** Makes what is not there yet. @throws with LEVEL_CORRUPTION or LEVEL_LOCKED */
  open(): Promise<void>
  /** Memoised; afterwards every call throws. */
  close(): Promise<void>
  /**
   * Applies all of them or, when it throws or the process dies, none. With `sync` they survive a power cut. Afterwards it
   * holds none of these buffers: they may be views into something far larger.
   */
  write(writes: readonly EngineWrite[], options: { sync: boolean }): Promise<void>
  /** What is in it at this moment. */
  snapshot(): EngineSnapshot
}

/** Makes the engine of one task in a directory of its own. */
export type EngineFactory = (directory: string) => Engine

/** The first key of a range. */
export async function firstKey(reads: EngineReads, range: KeyRange): Promise<Buffer | undefined> {
  for await (const [key] of reads.entries({ ...range, limit: 1 })) return key
  return undefined
}
