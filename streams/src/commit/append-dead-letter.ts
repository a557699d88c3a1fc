import { codeOf, messageOf } from '../errors.js'
import type { KafkaClient } from '../kafka/client.js'
import { deadLetterRecord } from '../kafka/dead-letter.js'
import { partitionFor } from '../kafka/partitioner.js'
import type { RecordAccumulator } from '../kafka/records/encode.js'
import type { DeadLetteredRecord } from '../processing/given-up.js'

/** Adds a dead letter to the records of an interval, so that it is committed with the rest of it. */
export function appendDeadLetter(
  records: RecordAccumulator,
  client: Pick<KafkaClient, 'partitionCount'>,
  record: DeadLetteredRecord,
): void {
  const { deadLetterTopic, key, partition } = record
  const partitions = client.partitionCount(deadLetterTopic)
  const target = key === null ? partition % partitions : partitionFor(key, partitions)
  const nowMs = Date.now()
  const letter = toDeadLetter(record, nowMs)
  records.append(deadLetterTopic, target, letter.key, letter.value, nowMs, letter.headers)
}

/** A record that is put aside, as it goes to the dead-letter topic. */
export function toDeadLetter({ input, key, value, headers, error }: DeadLetteredRecord, nowMs: number) {
  const about = {
    exception: codeOf(error),
    message: messageOf(error),
    ...(error instanceof Error && error.stack !== undefined && { stacktrace: error.stack }),
    timeMs: nowMs,
    ...(input !== undefined && { record: input }),
  }
  return deadLetterRecord(about, key, value, headers)
}
