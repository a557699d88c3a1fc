import type { ApiRequest } from './api-request.js'

export interface FetchedOffset {
  topic: string
  partition: number
  errorCode: number
  /** -1 if the group never committed one. */
  offset: number
  metadata: string
}

/**
 * OffsetFetch v7, to be sent to the group's coordinator. With requireStable a partition whose offsets are part of a
 * transaction that is not decided answers UNSTABLE_OFFSET_COMMIT instead of an offset that may be outdated in a moment
 * (KIP-447).
 *
 *   group_id | [topic | [partition int32]] | require_stable boolean
 *   throttle_time_ms int32 | [topic | [partition int32 | offset int64 | leader_epoch int32 | metadata | error_code int16]] |
 *   error_code int16   (compact types, tagged fields after each structure)
 */
export function offsetFetchRequest(parameters: {
  groupId: string
  /** null: everything the group has committed */
  topics: readonly { topic: string; partitions: readonly number[] }[] | null
  requireStable: boolean
}): ApiRequest<{ errorCode: number; offsets: FetchedOffset[] }> {
  const { groupId, topics, requireStable } = parameters
  return {
    apiKey: 9,
    version: 7,
    name: 'OffsetFetch',
    flexible: true,
    encode(writer) {
      writer.compactString(groupId)
      writer.compactNullableArray(topics, ({ topic, partitions }) => {
        writer.compactString(topic).compactArray(partitions, (partition) => writer.int32(partition))
        writer.tags()
      })
      writer.boolean(requireStable).tags()
    },
    decode(reader) {
      reader.int32()
      const offsets = reader.compactArray(() => {
        const topic = reader.compactString()
        const partitions = reader.compactArray(() => {
          const partition = reader.int32()
          const offset = reader.int64()
          reader.int32()
          const metadata = reader.compactString()
          const errorCode = reader.int16()
          reader.tags()
          return { topic, partition, errorCode, offset, metadata }
        })
        reader.tags()
        return partitions
      })
      return { errorCode: reader.int16(), offsets: offsets.flat() }
    },
  }
}
