/**
 * Writes Kafka's wire types into one growing buffer.
 * https://kafka.apache.org/protocol.html#protocol_types
 *
 * Fields are written straight into the final bytes; there is no intermediate object per field. `bytes` is a view: it is
 * valid until the next write, `reset` or `take`.
 */
export class WireWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** A view of what was written. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** The buffer itself, for encoders that write by position; call `reserve` first and `advanceTo` afterwards. */
  get target(): Buffer {
    return this.#buffer
  }

  /** Makes room for `count` more bytes; the buffer doubles, so the copies are amortised. */
  reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, needed))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  /** Sets the end after an encoder wrote into `target` by position. */
  advanceTo(length: number): void {
    this.#length = length
  }

  /** Forgets what was written and keeps the memory. */
  reset(): void {
    this.#length = 0
  }

  /** Leaves `count` bytes to be filled in later and returns their position. */
  skip(count: number): number {
    this.reserve(count)
    const position = this.#length
    this.#length += count
    return position
  }

  int8(value: number): this {
    this.reserve(1)
    this.#length = this.#buffer.writeInt8(value, this.#length)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int16(value: number): this {
    this.reserve(2)
    this.#length = this.#buffer.writeInt16BE(value, this.#length)
    return this
  }

  int32(value: number): this {
    this.reserve(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
    return this
  }

  /** INT64 from a safe integer (offsets, times). */
  int64(value: number): this {
    this.reserve(8)
    writeInt64(this.#buffer, value, this.#length)
    this.#length += 8
    return this
  }

  /** INT64 from a bigint (producer ids). */
  bigInt64(value: bigint): this {
    this.reserve(8)
    this.#length = this.#buffer.writeBigInt64BE(value, this.#length)
    return this
  }

  /** UNSIGNED_VARINT, 32 bits. */
  unsignedVarint(value: number): this {
    this.reserve(5)
    this.#length = writeUnsignedVarint(this.#buffer, value, this.#length)
    return this
  }

  /** VARINT: zigzag, 32 bits. */
  varint(value: number): this {
    return this.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0)
  }

  /** NULLABLE_STRING: INT16 length (-1 = null), UTF-8. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const size = Buffer.byteLength(value)
    return this.int16(size).#text(value, size)
  }

  /** COMPACT_NULLABLE_STRING: UNSIGNED_VARINT length + 1 (0 = null), UTF-8. */
  compactString(value: string | null): this {
    if (value === null) return this.unsignedVarint(0)
    const size = Buffer.byteLength(value)
    return this.unsignedVarint(size + 1).#text(value, size)
  }

  /** The bytes themselves, without a length. */
  raw(value: Uint8Array): this {
    this.reserve(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** NULLABLE_BYTES: INT32 length (-1 = null). */
  nullableBytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }

  /** COMPACT_NULLABLE_BYTES: UNSIGNED_VARINT length + 1 (0 = null). */
  compactBytes(value: Uint8Array | null): this {
    return value === null ? this.unsignedVarint(0) : this.unsignedVarint(value.length + 1).raw(value)
  }

  /** ARRAY: INT32 count, then the items. */
  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length)
    for (const item of items) write(item)
    return this
  }

  /** COMPACT_ARRAY: UNSIGNED_VARINT count + 1, then the items. */
  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsignedVarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }

  /** COMPACT_NULLABLE_ARRAY: a count of 0 is null. */
  compactNullableArray<T>(items: readonly T[] | null, write: (item: T) => void): this {
    return items === null ? this.unsignedVarint(0) : this.compactArray(items, write)
  }

  /** UUID: 16 bytes, from Kafka's own text form (22 characters of base64url) or the usual hexadecimal one. */
  uuid(value: string): this {
    const bytes = value.length === 22 ? Buffer.from(value, 'base64url') : Buffer.from(value.replaceAll('-', ''), 'hex')
    if (bytes.length !== 16) throw new RangeError(`not a UUID: ${value}`)
    return this.raw(bytes)
  }

  /** An empty tagged-field section, which ends every structure of a flexible version (KIP-482). */
  tags(): this {
    return this.int8(0)
  }

  #text(value: string, size: number): this {
    this.reserve(size)
    this.#buffer.write(value, this.#length, size, 'utf8')
    this.#length += size
    return this
  }
}

/** Writes a safe integer as INT64 at `position`. */
export function writeInt64(target: Buffer, value: number, position: number): void {
  target.writeInt32BE(Math.floor(value / 0x1_0000_0000), position)
  target.writeUInt32BE(value >>> 0, position + 4)
}

/** Writes an UNSIGNED_VARINT (7 bits a byte, low ones first) at `position` and returns the position after it. */
export function writeUnsignedVarint(target: Uint8Array, value: number, position: number): number {
  while (value > 127) {
    target[position++] = (value & 127) | 128
    value >>>= 7
  }
  target[position++] = value
  return position
}
