import type { ApiRequest } from './api-request.js'
import { byTopic } from './by-topic.js'

/**
 * OffsetDelete v0, to the group's coordinator: takes away committed offsets of topics that no member subscribes to.
 *
 * OffsetDelete Request (Version: 0) => group_id [topics]
 *   group_id => STRING
 *   topics => name [partitions]
 *     name => STRING, partitions => INT32
 *
 * OffsetDelete Response (Version: 0) => error_code throttle_time_ms [topics]
 *   error_code => INT16, throttle_time_ms => INT32
 *   topics => name [partitions]
 *     name => STRING
 *     partitions => partition_index error_code
 *       partition_index => INT32, error_code => INT16
 */
export function offsetDelete(
  groupId: string,
  offsets: readonly { topic: string; partition: number }[],
): ApiRequest<{
  errorCode: number
  throttleTimeMs: number
  partitions: { topic: string; partition: number; errorCode: number }[]
}> {
  return {
    apiKey: 47,
    version: 0,
    name: 'OffsetDelete',
    flexible: false,
    encode(writer) {
      writer.string(groupId).array(byTopic(offsets), ([topic, entries]) => {
        writer.string(topic).array(entries, ({ partition }) => writer.int32(partition))
      })
    },
    decode(reader) {
      const errorCode = reader.int16()
      const throttleTimeMs = reader.int32()
      const topics = reader.array(() => {
        const topic = reader.string()
        return reader.array(() => ({ topic, partition: reader.int32(), errorCode: reader.int16() }))
      })
      return { errorCode, throttleTimeMs, partitions: topics.flat() }
    },
  }
}
