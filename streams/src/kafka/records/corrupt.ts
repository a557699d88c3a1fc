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

/** The error for a batch whose codec is unknown or cannot be loaded here; names it, and `missing` says what to do. */
export function unsupportedCodec(
  { topic, partition }: Origin,
  offset: number,
  codec: string,
  missing?: Error,
): KafkaError {
  const reason = missing === undefined ? '' : `: ${missing.message}`
  const detail = `the record batch at offset ${offset} is compressed with ${codec}${reason}`
  return KafkaError.named('UNSUPPORTED_COMPRESSION_TYPE', { topic, partition }, detail)
}
