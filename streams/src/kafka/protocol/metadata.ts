import type { ApiRequest } from './api-request.js'

export interface MetadataAnswer {
  throttleTimeMs: number
  brokers: { nodeId: number; host: string; port: number; rack: string | null }[]
  clusterId: string | null
  controllerId: number
  topics: TopicMetadata[]
}

export interface TopicMetadata {
  errorCode: number
  name: string
  topicId: string
  internal: boolean
  partitions: {
    errorCode: number
    partition: number
    /** -1 while there is none */
    leader: number
    leaderEpoch: number
    replicas: number[]
    isr: number[]
    offlineReplicas: number[]
  }[]
}

/**
 * Metadata v12 (Kafka 2.8 and later): brokers, leaders and topic ids. An empty list asks for the brokers alone, null
 * for all topics that one may see.
 *
 * Metadata Request (Version: 12) => [topics] allow_auto_topic_creation include_topic_authorized_operations TAG_BUFFER
 *   topics => topic_id name TAG_BUFFER
 *     topic_id => UUID                         (zero: asked by name)
 *     name => COMPACT_NULLABLE_STRING
 *   allow_auto_topic_creation => BOOLEAN
 *   include_topic_authorized_operations => BOOLEAN
 *
 * Metadata Response (Version: 12) => throttle_time_ms [brokers] cluster_id controller_id [topics] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   brokers => node_id host port rack TAG_BUFFER
 *     node_id => INT32, host => COMPACT_STRING, port => INT32, rack => COMPACT_NULLABLE_STRING
 *   cluster_id => COMPACT_NULLABLE_STRING
 *   controller_id => INT32
 *   topics => error_code name topic_id is_internal [partitions] topic_authorized_operations TAG_BUFFER
 *     error_code => INT16, name => COMPACT_NULLABLE_STRING, topic_id => UUID, is_internal => BOOLEAN
 *     partitions => error_code partition_index leader_id leader_epoch [replica_nodes] [isr_nodes] [offline_replicas] TAG_BUFFER
 *       error_code => INT16, the others => INT32
 *     topic_authorized_operations => INT32
 */
export function metadata(topics: readonly string[] | null): ApiRequest<MetadataAnswer> {
  return {
    apiKey: 3,
    version: 12,
    name: 'Metadata',
    flexible: true,
    encode(writer) {
      writer.compactNullableArray(topics, (name) => writer.int64(0).int64(0).compactString(name).tags())
      writer.boolean(false).boolean(false).tags()
    },
    decode(reader) {
      const int32s = () => reader.compactArray(() => reader.int32())
      const throttleTimeMs = reader.int32()
      const brokers = reader.compactArray(() => {
        const broker = {
          nodeId: reader.int32(),
          host: reader.compactString(),
          port: reader.int32(),
          rack: reader.compactNullableString(),
        }
        reader.tags()
        return broker
      })
      const clusterId = reader.compactNullableString()
      const controllerId = reader.int32()
      const answered = reader.compactArray(() => {
        const topic = {
          errorCode: reader.int16(),
          name: reader.compactString(),
          topicId: reader.uuid(),
          internal: reader.boolean(),
          partitions: reader.compactArray(() => {
            const partition = {
              errorCode: reader.int16(),
              partition: reader.int32(),
              leader: reader.int32(),
              leaderEpoch: reader.int32(),
              replicas: int32s(),
              isr: int32s(),
              offlineReplicas: int32s(),
            }
            reader.tags()
            return partition
          }),
        }
        reader.int32()
        reader.tags()
        return topic
      })
      reader.tags()
      return { throttleTimeMs, brokers, clusterId, controllerId, topics: answered }
    },
  }
}
