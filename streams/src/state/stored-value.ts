import { StreamsError } from '../errors.js'
import type { KeyValueStoreSpec } from '../topology/stores.js'

const HEADER_BYTES = 8

/**
 * How the values of a key-value store are written in the engine and in the changelog: as their serde writes them, and
 * with a ttl behind 8 bytes that say when they were last changed, in stream time.
 */
export class StoredValueCodec<V> {
  readonly #ttlMs: number | undefined

  constructor(private readonly spec: Pick<KeyValueStoreSpec<never, V>, 'name' | 'value' | 'ttlMs'>) {
    this.#ttlMs = spec.ttlMs
  }

  encode(value: V, changedAtMs: number): Buffer {
    const bytes = this.spec.value.encode(value)
    if (this.#ttlMs === undefined) return bytes
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header.writeBigUInt64BE(BigInt(Math.max(0, changedAtMs)))
    return Buffer.concat([header, bytes])
  }

  /** The value; undefined when it is over at this stream time. */
  decode(bytes: Buffer, streamTimeMs: number): V | undefined {
    if (this.#ttlMs === undefined) return this.spec.value.decode(bytes, 0, bytes.length)
    if (this.isOver(this.changedAtMs(bytes), streamTimeMs)) return undefined
    return this.spec.value.decode(bytes, HEADER_BYTES, bytes.length)
  }

  /**
   * When a value was last changed, in stream time; 0 without a ttl.
   * @throws StreamsError STATE when it was written by a store without a ttl
   */
  changedAtMs(bytes: Buffer): number {
    if (this.#ttlMs === undefined) return 0
    const changedAtMs = bytes.length < HEADER_BYTES ? Number.NaN : Number(bytes.readBigUInt64BE())
    if (Number.isSafeInteger(changedAtMs)) return changedAtMs
    throw new StreamsError(
      'STATE',
      `store '${this.spec.name}' has a ttl but holds values that were written without one: ` +
        'whether a store has a ttl is fixed once it has state; give the new store another name',
      { store: this.spec.name },
    )
  }

  /** Whether a value that was last changed then is over. */
  isOver(changedAtMs: number, streamTimeMs: number): boolean {
    return this.#ttlMs !== undefined && changedAtMs + this.#ttlMs <= streamTimeMs
  }
}
