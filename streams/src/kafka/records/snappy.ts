import type * as SnappyPackage from 'snappy'
import { loadPackage, tooLarge, type Codec } from './codec.js'

/*
 * Java's producers write the stream format of snappy-java (https://github.com/xerial/snappy-java, SnappyOutputStream):
 *
 *   magic: 82 'SNAPPY' 00 | version: int32 | lowest compatible version: int32
 *   then blocks: size: int32, a raw snappy block of that size
 *
 * Others (librdkafka, franz-go) write one raw block without a header, and every reader takes it: SnappyInputStream falls
 * back to it when the magic is missing. We write that: it is the whole batch in one call.
 *
 * A raw block (https://github.com/google/snappy/blob/main/format_description.txt) begins with the size it inflates to, as
 * a varint of 32 bits. The library takes that much memory at once, so it is looked at before.
 */
const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const HEADER_BYTES = 16

const load = () => loadPackage('snappy', 'snappy') as typeof SnappyPackage

export const snappy: Codec = {
  inflate(compressed, maxBytes) {
    const blocks = compressed.subarray(0, MAGIC.length).equals(MAGIC) ? blocksOf(compressed) : [compressed]
    const sizeBytes = blocks.reduce((total, block) => total + inflatedSize(block), 0)
    if (sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes)
    const { uncompressSync } = load()
    const inflated = blocks.map((block) => uncompressSync(block, { asBuffer: true }) as Buffer)
    return inflated.length === 1 ? inflated[0]! : Buffer.concat(inflated, sizeBytes)
  },
  deflate: (plain) => load().compressSync(plain),
}

function blocksOf(stream: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  for (let at = HEADER_BYTES; at < stream.length;) {
    if (at + 4 > stream.length) throw new RangeError('a block is cut off')
    const sizeBytes = stream.readInt32BE(at)
    const end = at + 4 + sizeBytes
    if (sizeBytes <= 0 || end > stream.length) throw new RangeError(`a block of ${sizeBytes} bytes`)
    blocks.push(stream.subarray(at + 4, end))
    at = end
  }
  return blocks
}

/** What a raw block says it inflates to; the library refuses it if that is not so. */
function inflatedSize(block: Buffer): number {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = block[at]
    if (byte === undefined) break
    size += (byte & 127) * 2 ** (7 * at)
    if (byte < 128) return size
  }
  throw new RangeError('the size of a block is cut off')
}
