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

export type EngineEntry = readonly [key: Buffer, value: Buffer]

/** Reads of one moment. Close it: an open snapshot keeps old data on disk. */
export interface EngineSnapshot {
  get(key: Buffer): Buffer | undefined
  /** Ascending by key. */
  entries(range: KeyRange): AsyncIterable<EngineEntry>
  close(): Promise<void>
}

/**
 * Where a task keeps its state: an ordered map from bytes to bytes on this machine. Every engine keeps the same
 * contract (engine.suite.ts): a batch is applied whole or not at all, reads see all batches that were applied, and
 * what was written with `sync` survives a power cut.
 */
export interface Engine {
  open(): Promise<void>
  /** Memoised; afterwards every call throws. */
  close(): Promise<void>
  /** Synchronous, because records are processed synchronously; a miss costs a few microseconds. */
  get(key: Buffer): Buffer | undefined
  /** Ascending by key, as of the moment of the call. */
  entries(range: KeyRange): AsyncIterable<EngineEntry>
  /** The first key at or after `key` and before `end`. */
  seek(key: Buffer, end: Buffer): Promise<Buffer | undefined>
  write(writes: readonly EngineWrite[], options: { sync: boolean }): Promise<void>
  snapshot(): EngineSnapshot
  /** Removes everything it holds; it stays open. */
  clear(): Promise<void>
}

/** Makes the engine of one task in a directory of its own. */
export type EngineFactory = (directory: string) => Engine
