import { KafkaError } from '../errors.js'

/** What the bytes belong to, for the error's sake. */
export interface Origin {
  topic: string
  partition: number
}

/** The error for fetched bytes that are not record batches as they should be. Fatal: they would come again. */
export function corrupt({ topic, partition }: Origin, offset: number, what: string, cause?: unknown): KafkaError {
  return KafkaError.invalidAnswer(`corrupt record batch at offset ${offset}: ${what}`, { topic, partition }, cause)
}

/** The error for a batch written with a codec that is not built in; names it, so the producer's setting can be found. */
export function unsupportedCodec({ topic, partition }: Origin, offset: number, codec: string): KafkaError {
  const detail = `the record batch at offset ${offset} is compressed with ${codec}; only gzip can be read`
  return KafkaError.named('UNSUPPORTED_COMPRESSION_TYPE', { topic, partition }, detail)
}
