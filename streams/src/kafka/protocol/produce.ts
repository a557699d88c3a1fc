import type { ApiRequest } from './api-request.js'
import { byTopic } from './by-topic.js'

export interface ProduceRequest {
  transactionalId: string | null
  /** How long the leader waits for the in-sync replicas, in milliseconds. */
  timeoutMs: number
  /** One stamped batch per partition. */
  batches: readonly { topic: string; partition: number; bytes: Buffer }[]
}

export interface ProducedPartition {
  topic: string
  partition: number
  errorCode: number
  errorMessage: string | null
  /** -1 with an error, and for a duplicate too old to be looked up. */
  baseOffset: number
  logAppendTimeMs: number
  logStartOffset: number
  /** The records at fault, by their index in the batch (KIP-467); the others were refused with them. */
  recordErrors: { index: number; message: string | null }[]
}

export interface ProduceAnswer {
  throttleTimeMs: number
  partitions: ProducedPartition[]
}

/**
 * Produce v9 (Kafka 2.8 and later), acks = all. Versions from 12 on would add partitions to the transaction implicitly
 * (KIP-890, transaction.version 2), which makes every commit wait on the broker's own retry of 20 ms.
 *
 * Produce Request (Version: 9) => transactional_id acks timeout_ms [topic_data] TAG_BUFFER
 *   transactional_id => COMPACT_NULLABLE_STRING
 *   acks => INT16                              (-1 = all in-sync replicas)
 *   timeout_ms => INT32
 *   topic_data => name [partition_data] TAG_BUFFER
 *     name => COMPACT_STRING
 *     partition_data => index records TAG_BUFFER
 *       index => INT32
 *       records => COMPACT_RECORDS             (one record batch)
 *
 * Produce Response (Version: 9) => [responses] throttle_time_ms TAG_BUFFER
 *   responses => name [partition_responses] TAG_BUFFER
 *     name => COMPACT_STRING
 *     partition_responses => index error_code base_offset log_append_time_ms log_start_offset [record_errors] error_message TAG_BUFFER
 *       index => INT32, error_code => INT16, base_offset, log_append_time_ms, log_start_offset => INT64
 *       record_errors => batch_index batch_index_error_message TAG_BUFFER
 *         batch_index => INT32, batch_index_error_message => COMPACT_NULLABLE_STRING
 *       error_message => COMPACT_NULLABLE_STRING
 *   throttle_time_ms => INT32
 */
export function produce({ transactionalId, timeoutMs, batches }: ProduceRequest): ApiRequest<ProduceAnswer> {
  return {
    apiKey: 0,
    version: 9,
    name: 'Produce',
    flexible: true,
    timeoutMs,
    encode(writer) {
      writer.compactString(transactionalId).int16(-1).int32(timeoutMs)
      writer.reserve(batches.reduce((size, { bytes }) => size + bytes.length + 16, 1024))
      writer.compactArray(byTopic(batches), ([topic, partitions]) => {
        writer.compactString(topic)
        writer.compactArray(partitions, ({ partition, bytes }) => writer.int32(partition).compactBytes(bytes).tags())
        writer.tags()
      })
      writer.tags()
    },
    decode(reader) {
      const topics = reader.compactArray(() => {
        const topic = reader.compactString()
        const partitions = reader.compactArray(() => {
          const answer = {
            topic,
            partition: reader.int32(),
            errorCode: reader.int16(),
            baseOffset: reader.int64(),
            logAppendTimeMs: reader.int64(),
            logStartOffset: reader.int64(),
            recordErrors: reader.compactArray(() => {
              const error = { index: reader.int32(), message: reader.compactNullableString() }
              reader.tags()
              return error
            }),
            errorMessage: reader.compactNullableString(),
          }
          reader.tags()
          return answer
        })
        reader.tags()
        return partitions
      })
      return { partitions: topics.flat(), throttleTimeMs: reader.int32() }
    },
  }
}
