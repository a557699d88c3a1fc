import { KafkaError } from '../errors.js'
import { writeInt64, writeUnsignedVarint, WireWriter } from '../wire/writer.js'
import { COMPRESSIONS, deflate, type Compression } from './compression.js'
import { crc32c } from './crc32c.js'

export type { Compression } from './compression.js'

/** A header of a record. */
export interface RecordHeader {
  key: string
  value: Buffer | null
}

/*
 * Record batch, magic 2 (https://kafka.apache.org/documentation/#recordbatch):
 *
 *   at  0  baseOffset: int64                 0; the broker assigns
 *   at  8  batchLength: int32                of what follows
 *   at 12  partitionLeaderEpoch: int32       -1; the broker assigns
 *   at 16  magic: int8                       2
 *   at 17  crc: uint32                       CRC-32C from the attributes to the end
 *   at 21  attributes: int16                 bits 0-2 compression (COMPRESSIONS), bit 4 transactional
 *   at 23  lastOffsetDelta: int32
 *   at 27  baseTimestamp: int64
 *   at 35  maxTimestamp: int64
 *   at 43  producerId: int64
 *   at 51  producerEpoch: int16
 *   at 53  baseSequence: int32
 *   at 57  records: int32 count, then the records, compressed together
 *
 * Record:
 *   length: varint                           of what follows
 *   attributes: int8                         0
 *   timestampDelta: varlong
 *   offsetDelta: varint
 *   keyLength: varint (-1 = null), key
 *   valueLength: varint (-1 = null), value
 *   headers: varint count, then each: keyLength varint, key (UTF-8), valueLength varint (-1 = null), value
 */
const BATCH_LENGTH = 8
const CRC = 17
const ATTRIBUTES = 21
const PRODUCER_ID = 43
export const BATCH_HEADER_BYTES = 61

const TRANSACTIONAL = 0x10

/** The latest time a record can have, epoch ms: twice this, and the difference of two, still are safe integers. */
export const MAX_TIMESTAMP_MS = 2 ** 51

/** Sequence numbers count from 0 to 2^31 - 1 and begin again at 0 (DefaultRecordBatch.incrementSequence). */
export function advanceSequence(sequence: number, records: number): number {
  return (sequence + records) % 0x8000_0000
}

/** A finished batch. */
export interface RecordBatch {
  readonly bytes: Buffer
  readonly recordCount: number
}

/** Who produces a batch, and the sequence number of its first record in its partition. */
export interface ProducerStamp {
  producerId: bigint
  producerEpoch: number
  sequence: number
  transactional: boolean
}

/** Writes the producer's fields and the checksum into a batch, in place. May be repeated: a later stamp replaces the former. */
export function stampBatch({ bytes }: RecordBatch, stamp: ProducerStamp): void {
  const compression = bytes.readInt16BE(ATTRIBUTES) & 7
  bytes.writeInt16BE(compression | (stamp.transactional ? TRANSACTIONAL : 0), ATTRIBUTES)
  bytes.writeBigInt64BE(stamp.producerId, PRODUCER_ID)
  bytes.writeInt16BE(stamp.producerEpoch, PRODUCER_ID + 8)
  bytes.writeInt32BE(stamp.sequence, PRODUCER_ID + 10)
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES), CRC)
}

/** One record batch under construction, written straight into its final bytes. */
export class RecordBatchBuilder {
  readonly #writer: WireWriter
  readonly #maxBytes: number
  readonly #compression: Compression
  #count = 0
  #baseTimestampMs = 0
  #maxTimestampMs = 0

  constructor(maxBytes: number, compression: Compression) {
    this.#maxBytes = maxBytes
    this.#compression = compression
    this.#writer = new WireWriter(Math.min(maxBytes, 1024))
    this.#writer.skip(BATCH_HEADER_BYTES)
  }

  get recordCount(): number {
    return this.#count
  }

  /** Size so far, before compression. */
  get sizeBytes(): number {
    return this.#writer.length
  }

  /**
   * Appends a record and returns the bytes it takes, or 0 if the batch would exceed its limit (nothing is written then).
   * Throws KafkaError INVALID_TIMESTAMP for a time that is not a whole number of milliseconds from -1 (none) to 2^51.
   */
  append(key: Buffer | null, value: Buffer | null, timestampMs: number, headers: readonly RecordHeader[]): number {
    if (!Number.isInteger(timestampMs) || timestampMs < -1 || timestampMs > MAX_TIMESTAMP_MS) {
      throw KafkaError.named('INVALID_TIMESTAMP', {}, String(timestampMs))
    }
    const baseTimestampMs = this.#count === 0 ? timestampMs : this.#baseTimestampMs
    const delta = timestampMs - baseTimestampMs
    const zigzagDelta = delta >= 0 ? delta * 2 : -delta * 2 - 1
    const keySize = key === null ? 0 : key.length
    const valueSize = value === null ? 0 : value.length
    const zigzagKey = key === null ? 1 : keySize * 2
    const zigzagValue = value === null ? 1 : valueSize * 2
    const body =
      1 +
      varlongSize(zigzagDelta) +
      varintSize(this.#count * 2) +
      varintSize(zigzagKey) +
      keySize +
      varintSize(zigzagValue) +
      valueSize +
      (headers.length === 0 ? 1 : headersSize(headers))
    const size = varintSize(body * 2) + body
    const writer = this.#writer
    if (writer.length + size > this.#maxBytes) return 0

    writer.reserve(size)
    const target = writer.target
    let at = writeUnsignedVarint(target, body * 2, writer.length)
    target[at++] = 0
    at = writeVarlong(target, zigzagDelta, at)
    at = writeUnsignedVarint(target, this.#count * 2, at)
    at = writeUnsignedVarint(target, zigzagKey, at)
    if (key !== null) at = copyInto(target, key, at)
    at = writeUnsignedVarint(target, zigzagValue, at)
    if (value !== null) at = copyInto(target, value, at)
    at = headers.length === 0 ? writeUnsignedVarint(target, 0, at) : writeHeaders(target, headers, at)
    writer.advanceTo(at)

    this.#baseTimestampMs = baseTimestampMs
    this.#maxTimestampMs = this.#count === 0 ? timestampMs : Math.max(this.#maxTimestampMs, timestampMs)
    this.#count++
    return size
  }

  /**
   * Ends the batch. It still needs stampBatch before it is sent. The builder is spent.
   * @throws CodecMissing where the codec cannot be loaded
   */
  seal(): RecordBatch {
    const written = this.#writer.bytes
    const bytes = this.#compression === 'none' ? written : withCompressedRecords(written, this.#compression)
    bytes.fill(0, 0, BATCH_HEADER_BYTES)
    bytes.writeInt32BE(bytes.length - 12, BATCH_LENGTH)
    bytes.writeInt32BE(-1, 12)
    bytes.writeInt8(2, 16)
    bytes.writeInt16BE(COMPRESSIONS.indexOf(this.#compression), ATTRIBUTES)
    bytes.writeInt32BE(this.#count - 1, 23)
    writeInt64(bytes, this.#baseTimestampMs, 27)
    writeInt64(bytes, this.#maxTimestampMs, 35)
    bytes.writeInt32BE(this.#count, 57)
    const batch = { bytes, recordCount: this.#count }
    stampBatch(batch, { producerId: -1n, producerEpoch: -1, sequence: -1, transactional: false })
    return batch
  }
}

function withCompressedRecords(written: Buffer, compression: Exclude<Compression, 'none'>): Buffer {
  const records = deflate(compression, written.subarray(BATCH_HEADER_BYTES))
  const bytes = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length)
  records.copy(bytes, BATCH_HEADER_BYTES)
  return bytes
}

/** Keys and values are mostly short, where a loop beats the call of a native copy. */
function copyInto(target: Buffer, source: Buffer, at: number): number {
  const size = source.length
  if (size < 24) for (let i = 0; i < size; i++) target[at + i] = source[i]!
  else target.set(source, at)
  return at + size
}

function headersSize(headers: readonly RecordHeader[]): number {
  let size = varintSize(headers.length * 2)
  for (const { key, value } of headers) {
    const keySize = Buffer.byteLength(key)
    size += varintSize(keySize * 2) + keySize + (value === null ? 1 : varintSize(value.length * 2) + value.length)
  }
  return size
}

function writeHeaders(target: Buffer, headers: readonly RecordHeader[], at: number): number {
  at = writeUnsignedVarint(target, headers.length * 2, at)
  for (const { key, value } of headers) {
    at = writeUnsignedVarint(target, Buffer.byteLength(key) * 2, at)
    at += target.write(key, at, 'utf8')
    at = writeUnsignedVarint(target, value === null ? 1 : value.length * 2, at)
    if (value !== null) at = copyInto(target, value, at)
  }
  return at
}

/** Bytes of an unsigned varint below 2^32. */
function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

/** Bytes of an unsigned varlong up to 2^53. */
function varlongSize(value: number): number {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++
  return size
}

function writeVarlong(target: Buffer, value: number, at: number): number {
  let rest = value
  while (rest > 127) {
    target[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  target[at++] = rest
  return at
}
