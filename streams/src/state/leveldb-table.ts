import { loadPackage } from '../kafka/records/codec.js'
import { maskedCrc } from './leveldb-log.js'
import { readVarint } from './leveldb-varint.js'

/*
 * The format of LevelDB's tables (https://github.com/google/leveldb/blob/main/doc/table_format.md):
 *
 *   data blocks | meta blocks | metaindex block | index block | footer
 *   block: contents | type: uint8, 0 = plain, 1 = snappy | masked CRC-32C of contents and type: uint32
 *   contents of an index block: entries, then the offsets of some of them: uint32 each, then how many: uint32
 *   entry: shared bytes of the key: varint | its own: varint | bytes of the value: varint | own part of the key | value
 *   value of an index entry = handle of a data block: offset: varint | size: varint
 *   footer, 48 bytes: handle of the metaindex | handle of the index | zeros up to 40 bytes | magic: 8 bytes
 */
const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
const SNAPPY = 1

interface Handle {
  readonly offset: number
  readonly size: number
}

/** What of a table file cannot be read as it was written; undefined = every block has its checksum. */
export function damageOfTable(bytes: Buffer): string | undefined {
  const footerAt = bytes.length - FOOTER_BYTES
  if (footerAt < 0 || !bytes.subarray(bytes.length - MAGIC.length).equals(MAGIC))
    return 'it does not end as a table does'
  try {
    const [metaindex, at] = readHandle(bytes, footerAt)
    const [index] = readHandle(bytes, at)
    for (const handle of [metaindex, index, ...handlesIn(contentsOf(bytes, index))]) {
      if (!isWhole(bytes, handle)) return `its block at ${handle.offset} does not have its checksum`
    }
  } catch (error) {
    if (error instanceof RangeError) return `its index cannot be read (${error.message})`
    throw error
  }
  return undefined
}

function isWhole(bytes: Buffer, { offset, size }: Handle): boolean {
  const end = offset + size + TRAILER_BYTES
  return end <= bytes.length && bytes.readUInt32LE(end - 4) === maskedCrc(bytes, offset, end - 4)
}

function contentsOf(bytes: Buffer, handle: Handle): Buffer {
  if (!isWhole(bytes, handle)) throw new RangeError('it does not have its checksum')
  const { offset, size } = handle
  const contents = bytes.subarray(offset, offset + size)
  if (bytes[offset + size] !== SNAPPY) return contents
  const { uncompressSync } = loadPackage('snappy', 'snappy') as { uncompressSync(block: Buffer): Buffer }
  return uncompressSync(contents)
}

function handlesIn(block: Buffer): Handle[] {
  const handles: Handle[] = []
  const end = block.length - 4 * (1 + block.readUInt32LE(block.length - 4))
  for (let at = 0; at < end;) {
    const [, ownAt] = readVarint(block, at)
    const [own, sizeAt] = readVarint(block, ownAt)
    const [size, keyAt] = readVarint(block, sizeAt)
    handles.push(readHandle(block, keyAt + own)[0])
    at = keyAt + own + size
  }
  return handles
}

function readHandle(bytes: Buffer, start: number): [handle: Handle, end: number] {
  const [offset, sizeAt] = readVarint(bytes, start)
  const [size, end] = readVarint(bytes, sizeAt)
  return [{ offset, size }, end]
}
