import type { ApiRequest } from './api-request.js'

export interface CreatableTopic {
  name: string
  partitions: number
  /** -1: the broker's default */
  replicationFactor: number
  config: Readonly<Record<string, string>>
}

export interface TopicResults {
  throttleTimeMs: number
  topics: { name: string; errorCode: number; errorMessage: string | null }[]
}

/**
 * CreateTopics v5 (Kafka 2.4 and later). The answer comes when the controller has decided, which other brokers may learn later.
 *
 * CreateTopics Request (Version: 5) => [topics] timeout_ms validate_only TAG_BUFFER
 *   topics => name num_partitions replication_factor [assignments] [configs] TAG_BUFFER
 *     name => COMPACT_STRING, num_partitions => INT32, replication_factor => INT16
 *     assignments => partition_index [broker_ids] TAG_BUFFER   (none)
 *     configs => name value TAG_BUFFER
 *       name => COMPACT_STRING, value => COMPACT_NULLABLE_STRING
 *   timeout_ms => INT32
 *   validate_only => BOOLEAN
 *
 * CreateTopics Response (Version: 5) => throttle_time_ms [topics] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   topics => name error_code error_message num_partitions replication_factor [configs] TAG_BUFFER
 *     name => COMPACT_STRING, error_code => INT16, error_message => COMPACT_NULLABLE_STRING
 *     num_partitions => INT32, replication_factor => INT16
 *     configs => name value read_only config_source is_sensitive TAG_BUFFER
 *       name => COMPACT_STRING, value => COMPACT_NULLABLE_STRING, read_only => BOOLEAN, config_source => INT8, is_sensitive => BOOLEAN
 */
export function createTopics(topics: readonly CreatableTopic[], timeoutMs: number): ApiRequest<TopicResults> {
  return {
    apiKey: 19,
    version: 5,
    name: 'CreateTopics',
    flexible: true,
    timeoutMs,
    encode(writer) {
      writer.compactArray(topics, ({ name, partitions, replicationFactor, config }) => {
        writer.compactString(name).int32(partitions).int16(replicationFactor)
        writer.compactArray([], () => undefined)
        writer.compactArray(Object.entries(config), ([key, value]) => {
          writer.compactString(key).compactString(value).tags()
        })
        writer.tags()
      })
      writer.int32(timeoutMs).boolean(false).tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const results = reader.compactArray(() => {
        const name = reader.compactString()
        const errorCode = reader.int16()
        const errorMessage = reader.compactNullableString()
        reader.int32()
        reader.int16()
        reader.compactArray(() => {
          reader.compactString()
          reader.compactNullableString()
          reader.boolean()
          reader.int8()
          reader.boolean()
          reader.tags()
        })
        reader.tags()
        return { name, errorCode, errorMessage }
      })
      return { throttleTimeMs, topics: results }
    },
  }
}

/**
 * DeleteTopics v5.
 *
 * DeleteTopics Request (Version: 5) => [topic_names] timeout_ms TAG_BUFFER
 *   topic_names => COMPACT_STRING, timeout_ms => INT32
 *
 * DeleteTopics Response (Version: 5) => throttle_time_ms [responses] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   responses => name error_code error_message TAG_BUFFER
 *     name => COMPACT_STRING, error_code => INT16, error_message => COMPACT_NULLABLE_STRING
 */
export function deleteTopics(names: readonly string[], timeoutMs: number): ApiRequest<TopicResults> {
  return {
    apiKey: 20,
    version: 5,
    name: 'DeleteTopics',
    flexible: true,
    timeoutMs,
    encode(writer) {
      writer
        .compactArray(names, (name) => writer.compactString(name))
        .int32(timeoutMs)
        .tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const results = reader.compactArray(() => {
        const result = {
          name: reader.compactString(),
          errorCode: reader.int16(),
          errorMessage: reader.compactNullableString(),
        }
        reader.tags()
        return result
      })
      return { throttleTimeMs, topics: results }
    },
  }
}
