/**
 * Reads Kafka's wire types from a buffer, in place.
 * https://kafka.apache.org/protocol.html#protocol_types
 *
 * Every method throws a RangeError at the end of the buffer, so a truncated answer never turns into values.
 */
export class WireReader {
  readonly bytes: Buffer
  #position: number

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes
    this.#position = position
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.bytes.length - this.#position
  }

  int8(): number {
    const value = this.bytes.readInt8(this.#position)
    this.#position += 1
    return value
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.#position)
    this.#position += 2
    return value
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.#position)
    this.#position += 4
    return value
  }

  /** INT64 as a number (offsets, times). Throws above 2^53, where a number could no longer hold it. */
  int64(): number {
    const value = readInt64(this.bytes, this.#position)
    this.#position += 8
    return value
  }

  /** INT64 as a bigint (producer ids). */
  bigInt64(): bigint {
    const value = this.bytes.readBigInt64BE(this.#position)
    this.#position += 8
    return value
  }

  /** UNSIGNED_VARINT, 32 bits. */
  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes.readUInt8(this.#position++)
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 0
    }
    throw new RangeError('an unsigned varint is longer than 5 bytes')
  }

  /** VARINT: zigzag, 32 bits. */
  varint(): number {
    const value = this.unsignedVarint()
    return (value >>> 1) ^ -(value & 1)
  }

  /** NULLABLE_STRING. */
  nullableString(): string | null {
    const size = this.int16()
    return size < 0 ? null : this.#text(size)
  }

  /** STRING. A null where the protocol has none reads as ''. */
  string(): string {
    return this.nullableString() ?? ''
  }

  /** COMPACT_NULLABLE_STRING. */
  compactNullableString(): string | null {
    const size = this.unsignedVarint() - 1
    return size < 0 ? null : this.#text(size)
  }

  /** COMPACT_STRING. A null where the protocol has none reads as ''. */
  compactString(): string {
    return this.compactNullableString() ?? ''
  }

  /** NULLABLE_BYTES, as a view into the answer. */
  nullableBytes(): Buffer | null {
    const size = this.int32()
    return size < 0 ? null : this.view(size)
  }

  /** COMPACT_NULLABLE_BYTES, as a view into the answer. */
  compactNullableBytes(): Buffer | null {
    const size = this.unsignedVarint() - 1
    return size < 0 ? null : this.view(size)
  }

  /** The next `size` bytes, as a view into the answer. */
  view(size: number): Buffer {
    const end = this.#position + size
    if (end > this.bytes.length) throw new RangeError(`${size} bytes expected, ${this.remaining} left`)
    const view = this.bytes.subarray(this.#position, end)
    this.#position = end
    return view
  }

  /** ARRAY. A null array reads as an empty one. */
  array<T>(read: () => T): T[] {
    return this.#items(this.int32(), read)
  }

  /** COMPACT_ARRAY. A null array reads as an empty one. */
  compactArray<T>(read: () => T): T[] {
    return this.#items(this.unsignedVarint() - 1, read)
  }

  /** UUID in the usual hexadecimal form. */
  uuid(): string {
    const hex = this.view(16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** Skips the tagged fields that end every structure of a flexible version (KIP-482). */
  tags(): void {
    for (let count = this.unsignedVarint(); count > 0; count--) {
      this.unsignedVarint()
      this.view(this.unsignedVarint())
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(read())
    return items
  }

  #text(size: number): string {
    const end = this.#position + size
    if (end > this.bytes.length) throw new RangeError(`a string of ${size} bytes expected, ${this.remaining} left`)
    const text = this.bytes.toString('utf8', this.#position, end)
    this.#position = end
    return text
  }
}

/** Reads an INT64 as a number. Throws a RangeError above 2^53. */
export function readInt64(source: Buffer, position: number): number {
  const value = source.readInt32BE(position) * 0x1_0000_0000 + source.readUInt32BE(position + 4)
  if (!Number.isSafeInteger(value)) throw new RangeError(`an INT64 beyond 2^53 at byte ${position}`)
  return value
}
