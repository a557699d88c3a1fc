import { crc32c } from '../kafka/records/crc32c.js'

/*
 * The format of LevelDB's logs, which its MANIFEST has too
 * (https://github.com/google/leveldb/blob/main/doc/log_format.md):
 *
 *   blocks of 32 KiB, each of records and then fewer than 7 bytes of zeros
 *   record: masked CRC-32C of type and payload: uint32 | length: uint16 | type: uint8 | payload     (little-endian)
 *   type: 1 = full, 2 = first, 3 = middle, 4 = last part
 */
const BLOCK_BYTES = 32 << 10
const HEADER_BYTES = 7
const FULL = 1
const FIRST = 2
const LAST = 4

/** What LevelDB stores for the checksum of `bytes[start, end)`, so that one of data with checksums in it is no weaker. */
export function maskedCrc(bytes: Buffer, start: number, end: number): number {
  const crc = crc32c(bytes, start, end)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** What a log says: its payloads as LevelDB reads them, and where something between them cannot be read. */
export type LogPiece = { readonly payload: Buffer } | { readonly unreadableAt: number }

/**
 * Reads a log as LevelDB does when it opens: what cannot be read is passed over to the next block, silently there, told
 * here. The rest of a log whose writer was killed in the middle of a record is such a piece too, the last one.
 */
export function* readLog(bytes: Buffer): Generator<LogPiece> {
  let parts: Buffer[] = []
  for (let blockAt = 0; blockAt < bytes.length; blockAt += BLOCK_BYTES) {
    const blockEnd = Math.min(bytes.length, blockAt + BLOCK_BYTES)
    for (let at = blockAt; at < blockEnd;) {
      const record = readRecord(bytes, at, blockEnd)
      if (record === 'trailer') break
      if (record === undefined) {
        yield { unreadableAt: at }
        parts = []
        break
      }
      at += HEADER_BYTES + record.payload.length
      const { type, payload } = record
      const begins = type === FULL || type === FIRST
      if (begins === parts.length > 0) {
        // A part without those before it, or a record whose last part is missing.
        yield { unreadableAt: at }
        parts = []
        if (!begins) continue
      }
      if (type === FULL) yield { payload }
      else parts.push(payload)
      if (type !== LAST) continue
      yield { payload: Buffer.concat(parts) }
      parts = []
    }
  }
  if (parts.length > 0) yield { unreadableAt: bytes.length }
}

function readRecord(
  bytes: Buffer,
  at: number,
  blockEnd: number,
): { type: number; payload: Buffer } | 'trailer' | undefined {
  const isLastBlock = blockEnd === bytes.length
  if (blockEnd - at < HEADER_BYTES) return isLastBlock && blockEnd % BLOCK_BYTES !== 0 ? undefined : 'trailer'
  const length = bytes.readUInt16LE(at + 4)
  const type = bytes[at + 6]!
  const end = at + HEADER_BYTES + length
  if (type < FULL || type > LAST || end > blockEnd) return undefined
  if (bytes.readUInt32LE(at) !== maskedCrc(bytes, at + 6, end)) return undefined
  return { type, payload: bytes.subarray(at + HEADER_BYTES, end) }
}
