import type { IsolationLevel } from '../fetched-chunk.js'
import type { ApiRequest } from './api-request.js'

export interface ListedOffset {
  topic: string
  partition: number
  errorCode: number
  /** -1 if the log has none, as for a time after its last record. */
  offset: number
}

const NO_REPLICA = -1
const UNKNOWN_LEADER_EPOCH = -1
const TIMESTAMPS = { latest: -1, earliest: -2 } as const

/** An end of the log, or the first record whose timestamp is this or later. */
export type OffsetAt = 'earliest' | 'latest' | { readonly timestampMs: number }

/**
 * ListOffsets v5, to be sent to the leader of all partitions it names. `latest` is the high watermark for
 * read_uncommitted and the last stable offset for read_committed.
 *
 *   replica_id int32 | isolation_level int8 | [topic | [partition int32 | current_leader_epoch int32 | timestamp int64]]
 *   throttle_time_ms int32 | [topic | [partition int32 | error_code int16 | timestamp int64 | offset int64 | leader_epoch int32]]
 */
export function listOffsetsRequest(parameters: {
  topics: readonly { topic: string; partitions: readonly number[] }[]
  at: OffsetAt
  isolation: IsolationLevel
}): ApiRequest<ListedOffset[]> {
  const { topics, at, isolation } = parameters
  const timestamp = typeof at === 'string' ? TIMESTAMPS[at] : at.timestampMs
  return {
    apiKey: 2,
    version: 5,
    name: 'ListOffsets',
    flexible: false,
    encode(writer) {
      writer.int32(NO_REPLICA).int8(isolation === 'read_committed' ? 1 : 0)
      writer.array(topics, ({ topic, partitions }) => {
        writer.string(topic).array(partitions, (partition) => {
          writer.int32(partition).int32(UNKNOWN_LEADER_EPOCH).int64(timestamp)
        })
      })
    },
    decode(reader) {
      reader.int32()
      const listed = reader.array(() => {
        const topic = reader.string()
        return reader.array(() => {
          const partition = reader.int32()
          const errorCode = reader.int16()
          reader.int64()
          const offset = reader.int64()
          reader.int32()
          return { topic, partition, errorCode, offset }
        })
      })
      return listed.flat()
    },
  }
}
