import type { ApiRequest } from './api-request.js'
import { byTopic } from './by-topic.js'

export interface OffsetToCommit {
  topic: string
  partition: number
  offset: number
  metadata: string
}

const NO_LEADER_EPOCH = -1

/**
 * OffsetCommit v7, to be sent to the group's coordinator, which refuses it with ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID
 * when the generation is over: this is what keeps a member that was replaced from moving the offsets back.
 *
 *   group_id | generation_id int32 | member_id | group_instance_id (null) | [topic | [partition int32 | offset int64 |
 *   leader_epoch int32 | metadata]]
 *   throttle_time_ms int32 | [topic | [partition int32 | error_code int16]]
 */
export function offsetCommitRequest(parameters: {
  groupId: string
  generationId: number
  memberId: string
  offsets: readonly OffsetToCommit[]
}): ApiRequest<{ topic: string; partition: number; errorCode: number }[]> {
  const { groupId, generationId, memberId, offsets } = parameters
  return {
    apiKey: 8,
    version: 7,
    name: 'OffsetCommit',
    flexible: false,
    encode(writer) {
      writer.string(groupId).int32(generationId).string(memberId).string(null)
      writer.array(byTopic(offsets), ([topic, entries]) => {
        writer.string(topic).array(entries, ({ partition, offset, metadata }) => {
          writer.int32(partition).int64(offset).int32(NO_LEADER_EPOCH).string(metadata)
        })
      })
    },
    decode(reader) {
      reader.int32()
      const answers = reader.array(() => {
        const topic = reader.string()
        return reader.array(() => ({ topic, partition: reader.int32(), errorCode: reader.int16() }))
      })
      return answers.flat()
    },
  }
}
