import { gunzipSync, gzipSync } from 'node:zlib'
import { CodecMissing, type Codec } from './codec.js'
import { corrupt, unsupportedCodec, type Origin } from './corrupt.js'
import { lz4 } from './lz4.js'
import { snappy } from './snappy.js'
import { zstd } from './zstd.js'

/** Kafka's codecs; the place of each is its number in a batch's attributes. */
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** How a producer compresses its batches. */
export type Compression = (typeof COMPRESSIONS)[number]

/** The fastest level: higher ones cost far more CPU than they save bytes. */
const GZIP_LEVEL = 1

const gzip: Codec = {
  inflate: (compressed, maxBytes) => gunzipSync(compressed, { maxOutputLength: maxBytes }),
  deflate: (plain) => gzipSync(plain, { level: GZIP_LEVEL }),
}

export const CODECS: Readonly<Record<Exclude<Compression, 'none'>, Codec>> = { gzip, snappy, lz4, zstd }

/** A batch is at most max.message.bytes on the wire; whatever inflates to more than this is a bomb, not data. */
export const MAX_INFLATED_BYTES = 256 * 1024 * 1024

/**
 * The records of a compressed batch.
 * @param codec the number in the batch's attributes, not 0
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE naming a codec that is unknown or that cannot be loaded here,
 *   INVALID_ANSWER if it does not inflate, or to more than MAX_INFLATED_BYTES
 */
export function inflate(codec: number, compressed: Buffer, origin: Origin, baseOffset: number): Buffer {
  const name = COMPRESSIONS[codec]
  if (name === undefined || name === 'none') throw unsupportedCodec(origin, baseOffset, `codec number ${codec}`)
  try {
    return CODECS[name].inflate(compressed, MAX_INFLATED_BYTES)
  } catch (cause) {
    if (cause instanceof CodecMissing) throw unsupportedCodec(origin, baseOffset, name, cause)
    throw corrupt(origin, baseOffset, `the batch does not inflate (${name})`, cause)
  }
}

/**
 * Compresses the records of a batch.
 * @throws CodecMissing where the codec cannot be loaded; requireCodec() finds that out early
 */
export function deflate(compression: Exclude<Compression, 'none'>, plain: Buffer): Buffer {
  return CODECS[compression].deflate(plain)
}

/**
 * Tries the codec that is to be written with, so that a process ends at its start and not at its first batch.
 * @throws CodecMissing that says what to do
 */
export function requireCodec(compression: Compression): void {
  if (compression !== 'none') deflate(compression, Buffer.alloc(1))
}
