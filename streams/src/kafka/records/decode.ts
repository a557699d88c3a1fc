import type { AbortedTransaction, FetchedChunk, IsolationLevel } from '../fetched-chunk.js'
import { KafkaError } from '../errors.js'
import { WireReader } from '../wire/reader.js'
import { inflate } from './compression.js'
import { corrupt } from './corrupt.js'
import { crc32c } from './crc32c.js'
import type { RecordHeader } from './encode.js'

export type { AbortedTransaction, FetchedChunk, IsolationLevel } from '../fetched-chunk.js'

/**
 * Called once for every visible record. `bytes` is the fetched buffer itself (or the inflated batch): read in place,
 * copy what you keep. Ends are exclusive; a null key or value has an end of -1. `headersStart` is for readHeaders().
 */
export interface RecordVisitor {
  (
    offset: number,
    timestampMs: number,
    bytes: Buffer,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    headersStart: number,
  ): void
}

/*
 * Record batch, magic 2 (https://kafka.apache.org/documentation/#recordbatch); positions from its first byte:
 *   0 baseOffset int64 | 8 batchLength int32 (of what follows) | 12 partitionLeaderEpoch int32 | 16 magic int8
 *   17 crc uint32 (CRC-32C of everything from 21) | 21 attributes int16 | 23 lastOffsetDelta int32
 *   27 baseTimestamp int64 | 35 maxTimestamp int64 | 43 producerId int64 | 51 producerEpoch int16
 *   53 baseSequence int32 | 57 recordCount int32 | 61 records
 */
const HEADER_BYTES = 61
const LENGTH_END = 12
const CODEC_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const CONTROL_TYPE_ABORT = 0
const TWO_POW_32 = 4294967296

/** A signed 64-bit integer as a number; beyond 2^53 it is corrupt (a bigint for each offset would cost too much). */
function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * TWO_POW_32 + bytes.readUInt32BE(at + 4)
}

/** Where the batch at `at` ends, or -1 when it is cut off: brokers cut a response at its byte limit. */
function batchEnd(bytes: Buffer, at: number, chunk: FetchedChunk): number {
  if (bytes.length - at < HEADER_BYTES) return -1
  const length = bytes.readInt32BE(at + 8)
  const magic = bytes[at + 16]
  if (magic !== 2)
    throw corrupt(chunk, int64(bytes, at), `record format v${magic} is not supported (Kafka 0.11 or newer)`)
  if (length < HEADER_BYTES - LENGTH_END) throw corrupt(chunk, int64(bytes, at), `batch length ${length}`)
  const end = at + LENGTH_END + length
  return end > bytes.length ? -1 : end
}

function lastOffsetOf(bytes: Buffer, at: number, chunk: FetchedChunk): number {
  const baseOffset = int64(bytes, at)
  const delta = bytes.readInt32BE(at + 23)
  if (delta < 0 || baseOffset < 0 || !Number.isSafeInteger(baseOffset + delta)) {
    throw corrupt(chunk, baseOffset, `last offset delta ${delta}`)
  }
  return baseOffset + delta
}

/**
 * The offset that follows the last whole batch, read from the headers alone: where the next Fetch begins while this
 * chunk still waits to be processed. The same as visitRecords() will return.
 * @throws KafkaError INVALID_ANSWER
 */
export function peekNextOffset(chunk: FetchedChunk): number {
  const bytes = chunk.records
  let next = chunk.fetchOffset
  if (bytes === null) return next
  for (let at = 0, end; (end = batchEnd(bytes, at, chunk)) !== -1; at = end) {
    const last = lastOffsetOf(bytes, at, chunk)
    if (last >= next) next = last + 1
  }
  return next
}

/**
 * Visits the records of a chunk in order and returns the offset to fetch next.
 *
 * Control records, aborted records (read_committed) and offsets that compaction took away count as progress, so a chunk
 * without a single visible record still moves the reader on. Aborted transactions follow the Java consumer's rule
 * (CompletedFetch.nextFetchedRecord): sorted by first offset, each becomes active at the first batch whose last offset
 * reaches it, and only the ABORT marker of its producer ends it. Every batch's CRC is checked before it is read.
 * Nothing is remembered between calls.
 *
 * @throws KafkaError INVALID_ANSWER with topic, partition and offset: bad CRC, lengths that do not fit, an unknown
 *   format; UNSUPPORTED_COMPRESSION_TYPE that names the codec. Whatever `visit` throws goes through.
 */
export function visitRecords(chunk: FetchedChunk, isolation: IsolationLevel, visit: RecordVisitor): number {
  const bytes = chunk.records
  let next = chunk.fetchOffset
  if (bytes === null || bytes.length === 0) return next
  const aborted = isolation === 'read_committed' ? new AbortedProducers(chunk.aborted) : null
  for (let at = 0, end; (end = batchEnd(bytes, at, chunk)) !== -1; at = end) {
    const last = lastOffsetOf(bytes, at, chunk)
    if (crc32c(bytes, at + 21, end) !== bytes.readUInt32BE(at + 17)) {
      throw corrupt(chunk, int64(bytes, at), 'the checksum does not match')
    }
    const attributes = bytes.readInt16BE(at + 21)
    const control = (attributes & CONTROL) !== 0
    let visible = !control
    if (aborted !== null && (attributes & TRANSACTIONAL) !== 0) {
      aborted.activateUpTo(last)
      if (control) aborted.endAt(bytes, at, end, chunk)
      else if (aborted.includes(bytes, at)) visible = false
    }
    if (visible && last >= chunk.fetchOffset) visitBatch(chunk, bytes, at, end, attributes, visit)
    if (last >= next) next = last + 1
  }
  return next
}

/** The producers whose transactions are aborted at the batch that is being read. */
class AbortedProducers {
  readonly #sorted: AbortedTransaction[]
  readonly #active = new Set<bigint>()
  #index = 0

  constructor(aborted: AbortedTransaction[] | null) {
    // The broker lists them by segment, not by first offset.
    this.#sorted = aborted === null ? [] : [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  activateUpTo(lastOffset: number): void {
    for (let next; (next = this.#sorted[this.#index]) !== undefined && next.firstOffset <= lastOffset; this.#index++) {
      this.#active.add(next.producerId)
    }
  }

  includes(bytes: Buffer, at: number): boolean {
    return this.#active.size > 0 && this.#active.has(bytes.readBigInt64BE(at + 43))
  }

  /** A control batch holds one record; its key is version int16, type int16. Compaction may have emptied it. */
  endAt(bytes: Buffer, at: number, end: number, chunk: FetchedChunk): void {
    if (this.#active.size === 0 || bytes.readInt32BE(at + 57) === 0) return
    let type = -1
    visitBatch(chunk, bytes, at, end, 0, (_offset, _timestampMs, record, keyStart, keyEnd) => {
      if (keyEnd - keyStart >= 4) type = record.readInt16BE(keyStart + 2)
    })
    if (type === CONTROL_TYPE_ABORT) this.#active.delete(bytes.readBigInt64BE(at + 43))
  }
}

/*
 * Record: length varint | attributes int8 | timestampDelta varlong | offsetDelta varint | keyLength varint (-1 = null) |
 *   key | valueLength varint | value | headers. Varints are zigzag and unrolled here by hand: this loop runs for every
 *   record there is, and a call or an object for each would halve its speed.
 */
function visitBatch(
  chunk: FetchedChunk,
  fetched: Buffer,
  at: number,
  end: number,
  attributes: number,
  visit: RecordVisitor,
): void {
  const baseOffset = int64(fetched, at)
  const count = fetched.readInt32BE(at + 57)
  const baseTimestampMs = int64(fetched, at + 27)
  const appendTimestampMs = int64(fetched, at + 35)
  const logAppendTime = (attributes & LOG_APPEND_TIME) !== 0
  const fetchOffset = chunk.fetchOffset
  let bytes = fetched
  let pos = at + HEADER_BYTES
  let limit = end
  if ((attributes & CODEC_MASK) !== 0) {
    bytes = inflate(attributes & CODEC_MASK, fetched.subarray(pos, end), chunk, baseOffset)
    pos = 0
    limit = bytes.length
  }
  if (count < 0) throw corrupt(chunk, baseOffset, `record count ${count}`)
  for (let index = 0; index < count; index++) {
    // A read past the buffer gives undefined, which counts as 0 here and ends a varint; the checks below then refuse.
    let byte = bytes[pos++]!
    let raw = byte & 127
    for (let shift = 7; (byte & 128) !== 0; shift += 7) {
      byte = bytes[pos++]!
      raw |= (byte & 127) << shift
    }
    const recordEnd = pos + (raw >>> 1)
    if ((raw & 1) !== 0 || recordEnd > limit) throw corrupt(chunk, baseOffset, `the length of record ${index}`)
    pos++
    byte = bytes[pos++]!
    let zigzagTime = byte & 127
    for (let scale = 128; (byte & 128) !== 0; scale *= 128) {
      byte = bytes[pos++]!
      zigzagTime += (byte & 127) * scale
    }
    byte = bytes[pos++]!
    raw = byte & 127
    for (let shift = 7; (byte & 128) !== 0; shift += 7) {
      byte = bytes[pos++]!
      raw |= (byte & 127) << shift
    }
    const offset = baseOffset + (raw >>> 1)
    byte = bytes[pos++]!
    raw = byte & 127
    for (let shift = 7; (byte & 128) !== 0; shift += 7) {
      byte = bytes[pos++]!
      raw |= (byte & 127) << shift
    }
    const keyStart = pos
    let keyEnd = -1
    if ((raw & 1) === 0) keyEnd = pos += raw >>> 1
    byte = bytes[pos++]!
    raw = byte & 127
    for (let shift = 7; (byte & 128) !== 0; shift += 7) {
      byte = bytes[pos++]!
      raw |= (byte & 127) << shift
    }
    const valueStart = pos
    let valueEnd = -1
    if ((raw & 1) === 0) valueEnd = pos += raw >>> 1
    if (pos > recordEnd) throw corrupt(chunk, offset, `the lengths inside record ${index}`)
    if (offset >= fetchOffset) {
      const delta = zigzagTime % 2 === 0 ? zigzagTime / 2 : -(zigzagTime + 1) / 2
      const timestampMs = logAppendTime ? appendTimestampMs : baseTimestampMs + delta
      visit(offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, pos)
    }
    pos = recordEnd
  }
}

/**
 * The headers of a record that is being visited; values are views into `bytes`.
 * @throws KafkaError INVALID_ANSWER if their lengths do not fit
 */
export function readHeaders(bytes: Buffer, headersStart: number): RecordHeader[] {
  const headers: RecordHeader[] = []
  try {
    const reader = new WireReader(bytes, headersStart)
    for (let count = reader.varint(); count > 0; count--) {
      const key = reader.view(reader.varint()).toString('utf8')
      const size = reader.varint()
      headers.push({ key, value: size < 0 ? null : reader.view(size) })
    }
  } catch (cause) {
    throw KafkaError.invalidAnswer('corrupt record headers', {}, cause)
  }
  return headers
}
