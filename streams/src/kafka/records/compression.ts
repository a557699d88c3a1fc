import { gunzipSync } from 'node:zlib'
import { corrupt, unsupportedCodec, type Origin } from './corrupt.js'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const GZIP = 1

/** A batch is at most max.message.bytes on the wire; whatever inflates to more than this is a bomb, not data. */
const MAX_INFLATED_BYTES = 256 * 1024 * 1024

/**
 * The records of a compressed batch.
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE naming the codec, INVALID_ANSWER if it does not inflate
 */
export function inflate(codec: number, compressed: Buffer, origin: Origin, baseOffset: number): Buffer {
  if (codec !== GZIP) throw unsupportedCodec(origin, baseOffset, CODECS[codec] ?? `number ${codec}`)
  try {
    return gunzipSync(compressed, { maxOutputLength: MAX_INFLATED_BYTES })
  } catch (cause) {
    throw corrupt(origin, baseOffset, 'the batch does not inflate', cause)
  }
}
