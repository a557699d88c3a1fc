import type * as Lz4Package from 'lz4-napi'
import { FrameReader, loadPackage, tooLarge, type Codec } from './codec.js'

const load = () => loadPackage('lz4', 'lz4-napi') as typeof Lz4Package

/** LZ4 frames of independent blocks, as Kafka demands them. */
export const lz4: Codec = {
  inflate(compressed, maxBytes) {
    const sizeBytes = inflatedBound(compressed)
    if (sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes)
    return load().decompressFrameSync(compressed)
  },
  deflate: (plain) => load().compressFrameSync(plain),
}

/*
 * LZ4 frame (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), least byte first:
 *
 *   magic: uint32 184D2204
 *   FLG: version (2 bits, 01) | independent blocks | block checksums | content size | content checksum | 0 | dictionary id
 *   BD: 0 | largest block (3 bits: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB) | 0000
 *   content size: uint64 if said so | dictionary id: uint32 if said so | header checksum: uint8
 *   then blocks: size: uint32, the highest bit set when stored as it is | bytes | checksum: uint32 if said so
 *   a size of 0 ends them | content checksum: uint32 if said so
 */
const MAGIC = 0x184d2204
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY_ID = 0x01
const STORED = 0x8000_0000
/** No block inflates to more than this times its size: a run grows by 255 with each byte of its length. */
const MAX_RATIO = 255

/** The most a frame can inflate to, added up from the headers of its blocks: the content size is optional, and a claim. */
function inflatedBound(compressed: Buffer): number {
  const reader = new FrameReader(compressed)
  if (reader.uintLE(4) !== MAGIC) throw new RangeError('no LZ4 frame')
  const flags = reader.uintLE(1)
  const largestBlock = 1 << (8 + 2 * ((reader.uintLE(1) >> 4) & 7))
  reader.skip(((flags & CONTENT_SIZE) !== 0 ? 8 : 0) + ((flags & DICTIONARY_ID) !== 0 ? 4 : 0) + 1)
  let total = 0
  for (let header; (header = reader.uintLE(4)) !== 0;) {
    const size = header % STORED
    total += header >= STORED ? size : Math.min(largestBlock, size * MAX_RATIO)
    reader.skip(size + ((flags & BLOCK_CHECKSUMS) !== 0 ? 4 : 0))
  }
  if ((flags & CONTENT_CHECKSUM) !== 0) reader.skip(4)
  return total
}
