import type { AbortedTransaction, IsolationLevel } from '../fetched-chunk.js'
import type { WireReader } from '../wire/reader.js'
import type { ApiRequest } from './api-request.js'
import { byTopic } from './by-topic.js'

export interface PartitionToFetch {
  topic: string
  partition: number
  offset: number
  maxBytes: number
}

export interface FetchParameters {
  isolation: IsolationLevel
  /** How long the broker may wait for minBytes. */
  maxWaitMs: number
  minBytes: number
  /** For the whole answer. Neither this nor the limit of a partition keeps back the first batch of the answer. */
  maxBytes: number
  /** The answer is filled in this order. */
  partitions: readonly PartitionToFetch[]
}

export interface FetchedPartition {
  topic: string
  partition: number
  errorCode: number
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
  aborted: AbortedTransaction[] | null
  /** A view into the answer; null when there are none. */
  records: Buffer | null
}

export interface FetchAnswer {
  throttleTimeMs: number
  errorCode: number
  partitions: FetchedPartition[]
}

const NO_REPLICA = -1
const NO_SESSION = { id: 0, epoch: -1 }
const UNKNOWN_LEADER_EPOCH = -1
const CONSUMER_HAS_NO_LOG = -1

/**
 * Fetch v11, without a fetch session: the answer names every partition that was asked for.
 *
 *   replica_id int32 | max_wait_ms int32 | min_bytes int32 | max_bytes int32 | isolation_level int8 | session_id int32 |
 *   session_epoch int32 | [topic | [partition int32 | current_leader_epoch int32 | fetch_offset int64 |
 *   log_start_offset int64 | partition_max_bytes int32]] | [forgotten topics] | rack_id
 *
 *   throttle_time_ms int32 | error_code int16 | session_id int32 | [topic | [partition int32 | error_code int16 |
 *   high_watermark int64 | last_stable_offset int64 | log_start_offset int64 | [producer_id int64 | first_offset int64] |
 *   preferred_read_replica int32 | records bytes]]
 *
 * v12 is the first flexible version and brings nothing a reader without sessions needs.
 */
export function fetchRequest(parameters: FetchParameters): ApiRequest<FetchAnswer> {
  const { isolation, maxWaitMs, minBytes, maxBytes } = parameters
  return {
    apiKey: 1,
    version: 11,
    name: 'Fetch',
    flexible: false,
    timeoutMs: maxWaitMs,
    encode(writer) {
      writer.int32(NO_REPLICA).int32(maxWaitMs).int32(minBytes).int32(maxBytes)
      writer
        .int8(isolation === 'read_committed' ? 1 : 0)
        .int32(NO_SESSION.id)
        .int32(NO_SESSION.epoch)
      writer.array(byTopic(parameters.partitions), ([topic, partitions]) => {
        writer.string(topic).array(partitions, (entry) => {
          writer.int32(entry.partition).int32(UNKNOWN_LEADER_EPOCH).int64(entry.offset)
          writer.int64(CONSUMER_HAS_NO_LOG).int32(entry.maxBytes)
        })
      })
      writer.array([], () => undefined).string('')
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const errorCode = reader.int16()
      reader.int32()
      const partitions = reader.array(() => {
        const topic = reader.string()
        return reader.array(() => decodePartition(reader, topic))
      })
      return { throttleTimeMs, errorCode, partitions: partitions.flat() }
    },
  }
}

function decodePartition(reader: WireReader, topic: string): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  const lastStableOffset = reader.int64()
  const logStartOffset = reader.int64()
  const aborted = reader.array(() => ({ producerId: reader.bigInt64(), firstOffset: reader.int64() }))
  reader.int32() // a replica nearby to read from: we name no rack, so there is none
  const records = reader.nullableBytes()
  return {
    topic,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted: aborted.length === 0 ? null : aborted,
    records: records === null || records.length === 0 ? null : records,
  }
}
