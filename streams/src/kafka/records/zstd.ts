import * as zlib from 'node:zlib'
import type * as ZstdPackage from '@toondepauw/node-zstd'
import { FrameReader, loadPackage, tooLarge, type Codec } from './codec.js'

/** What node:zlib has since Node 22.15 and 23.8. */
interface ZlibWithZstd {
  zstdCompressSync?(plain: Buffer): Buffer
  zstdDecompressSync?(compressed: Buffer, options: { maxOutputLength: number }): Buffer
}

/** Kafka's and zstd's own default, and that of node:zlib. */
const LEVEL = 3

const { zstdCompressSync, zstdDecompressSync } = zlib as ZlibWithZstd
const load = () => loadPackage('zstd', '@toondepauw/node-zstd', ', or run Node 22.15 or newer') as typeof ZstdPackage

export const zstd: Codec = {
  inflate(compressed, maxBytes) {
    const frames = framesOf(compressed)
    const sizeBytes = frames.reduce((total, { boundBytes }) => total + boundBytes, 0)
    if (sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes)
    const inflated = frames.map(({ bytes, boundBytes }) => inflateFrame(bytes, boundBytes))
    return inflated.length === 1 ? inflated[0]! : Buffer.concat(inflated)
  },
  deflate(plain) {
    if (zstdCompressSync !== undefined) return zstdCompressSync(plain)
    return new (load().Encoder)(LEVEL).encodeSync(plain)
  },
}

function inflateFrame(frame: Buffer, boundBytes: number): Buffer {
  if (zstdDecompressSync !== undefined) return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, boundBytes) })
  return new (load().Decoder)().decodeSync(frame)
}

/*
 * Zstandard frames (RFC 8878), least byte first, one or more of:
 *
 *   magic: uint32 FD2FB528
 *   descriptor: content size flag (2 bits) | single segment | 0 | reserved | checksum | dictionary id flag (2 bits)
 *   window: exponent (5 bits), mantissa (3 bits), unless single segment | dictionary id: 0, 1, 2 or 4 bytes
 *   content size: 0 (1 if single segment), 2, 4 or 8 bytes
 *   then blocks: header of 3 bytes: size (21 bits) | type (2 bits: 0 stored, 1 one byte repeated, 2 compressed) | last
 *   checksum: uint32 if said so
 *
 * or what readers skip: magic 184D2A50 to 184D2A5F, size: uint32, bytes.
 */
const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]
const CONTENT_SIZE_BYTES = [0, 2, 4, 8]
const MAX_BLOCK_BYTES = 128 * 1024

interface Frame {
  bytes: Buffer
  /** The most it can inflate to, added up from the headers of its blocks: Java's frames do not tell their size. */
  boundBytes: number
}

/** The frames that hold data. Each is inflated by itself: node:zlib stops after the first one without a word. */
function framesOf(compressed: Buffer): Frame[] {
  const reader = new FrameReader(compressed)
  const frames: Frame[] = []
  do {
    const start = reader.position
    const magic = reader.uintLE(4)
    if (magic - (magic % 16) === SKIPPABLE) reader.skip(reader.uintLE(4))
    else if (magic === MAGIC) {
      const boundBytes = skipFrame(reader)
      frames.push({ bytes: compressed.subarray(start, reader.position), boundBytes })
    } else throw new RangeError('no zstd frame')
  } while (!reader.atEnd)
  return frames
}

/** Moves past a frame whose magic was read; returns the most it can inflate to. */
function skipFrame(reader: FrameReader): number {
  const descriptor = reader.uintLE(1)
  const singleSegment = (descriptor & 0x20) !== 0
  const contentSizeFlag = descriptor >> 6
  if (!singleSegment) reader.skip(1)
  reader.skip(DICTIONARY_ID_BYTES[descriptor & 3]!)
  reader.skip(contentSizeFlag === 0 && singleSegment ? 1 : CONTENT_SIZE_BYTES[contentSizeFlag]!)
  let total = 0
  for (let last = false; !last;) {
    const header = reader.uintLE(3)
    const size = header >> 3
    const type = (header >> 1) & 3
    last = (header & 1) === 1
    if (size > MAX_BLOCK_BYTES) throw new RangeError(`a block of ${size} bytes`)
    total += type === 2 ? MAX_BLOCK_BYTES : size
    reader.skip(type === 1 ? 1 : size)
  }
  if ((descriptor & 4) !== 0) reader.skip(4)
  return total
}
