import type { KafkaError } from './errors.js'
import type { RecordBatch } from './records/batch.js'
import type { PartitionBatches } from './records/encode.js'
import { recordsOf, type PlainRecord } from './records/rebuild.js'

/** Records that Kafka will never take, of one partition. */
export interface RefusedRecords {
  readonly topic: string
  readonly partition: number
  readonly records: readonly PlainRecord[]
  readonly error: KafkaError
}

/** Decides about refused records: when it returns they are left out and the others go on; what it throws fails the whole. */
export type OnRefused = (refused: RefusedRecords) => void

/** As the broker says it when single records are at fault: the others may go on. */
const RECORDS_AT_FAULT = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_TIMESTAMP', 'INVALID_RECORD'])

/** As it says it of a topic that takes nothing from us, whatever the record. */
const TOPIC_REFUSED = new Set(['TOPIC_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION', 'POLICY_VIOLATION'])

export function blamesRecords({ name }: KafkaError): boolean {
  return RECORDS_AT_FAULT.has(name)
}

export function blamesTopic({ name }: KafkaError): boolean {
  return TOPIC_REFUSED.has(name)
}

/**
 * Parts a refused batch into the records at fault and what may be tried again without them. When the broker does not say
 * which ones are, what may be tried again is its two halves, until a half is a single record.
 * @param atFault indexes within the batch, as the broker told them (KIP-467)
 */
export function singleOut(
  batch: RecordBatch,
  error: KafkaError,
  atFault: readonly number[],
): { bad: PlainRecord[]; parts: PlainRecord[][] } {
  const records = recordsOf(batch)
  if (records.length === 1 || !blamesRecords(error)) return { bad: records, parts: [] }
  const indexes = new Set(atFault)
  const bad = records.filter((_, index) => indexes.has(index))
  const good = records.filter((_, index) => !indexes.has(index))
  const half = Math.ceil(good.length / 2)
  const parts = bad.length > 0 ? [good] : [good.slice(0, half), good.slice(half)]
  return { bad, parts: parts.filter((part) => part.length > 0) }
}

/** What onRefused threw, on its way up past those who would take it for a failure of Kafka. */
export class Refusal extends Error {
  constructor(readonly reason: unknown) {
    super('records were refused')
    this.name = 'Refusal'
  }
}

/** @throws Refusal */
export function refuse(onRefused: OnRefused, refused: RefusedRecords): void {
  if (refused.records.length === 0) return
  try {
    onRefused(refused)
  } catch (reason) {
    throw new Refusal(reason)
  }
}

/** @throws Refusal */
export function refuseAll(onRefused: OnRefused, partitions: readonly PartitionBatches[], error: KafkaError): void {
  for (const { topic, partition, batches } of partitions) {
    refuse(onRefused, { topic, partition, records: batches.flatMap(recordsOf), error })
  }
}
