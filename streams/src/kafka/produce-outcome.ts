import { KafkaError } from './errors.js'
import type { ProducedPartition } from './protocol/produce.js'

/**
 * What a broker's answer means for a batch of an idempotent producer.
 * - delivered: it is in the log
 * - retry: it may be taken later, as it is
 * - sequence-lost: the broker does not know our sequence (any more): go on at 0 with the next epoch
 * - standing-lost: our producer id is worth nothing: ask for another
 * - refused: it will never be taken as it is; `atFault` are indexes of records, none when the broker does not tell
 */
export type ProduceOutcome =
  | { kind: 'delivered' }
  | { kind: 'retry' | 'sequence-lost' | 'standing-lost'; error: KafkaError }
  | { kind: 'refused'; error: KafkaError; atFault: readonly number[] }

const SEQUENCE_LOST = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID'])
const STANDING_LOST = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING'])

/** As the Java client judges it (TransactionManager.canRetry, KIP-360). */
export function outcomeOf(answer: ProducedPartition): ProduceOutcome {
  const { topic, partition, errorCode, errorMessage, recordErrors } = answer
  if (errorCode === 0) return { kind: 'delivered' }
  const error = KafkaError.fromCode(errorCode, { topic, partition }, errorMessage)
  // It is in the log, only too long ago for the broker to know the offset.
  if (error.name === 'DUPLICATE_SEQUENCE_NUMBER') return { kind: 'delivered' }
  if (error.retriable) return { kind: 'retry', error }
  if (SEQUENCE_LOST.has(error.name)) return { kind: 'sequence-lost', error }
  if (STANDING_LOST.has(error.name)) return { kind: 'standing-lost', error }
  return { kind: 'refused', error, atFault: recordErrors.map(({ index }) => index) }
}
