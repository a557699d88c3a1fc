import type { ApiRequest } from './api-request.js'

const TOPIC = 2

export interface TopicConfigs {
  throttleTimeMs: number
  topics: { name: string; errorCode: number; errorMessage: string | null; config: Map<string, string | null> }[]
}

/**
 * DescribeConfigs v4 (Kafka 2.8 and later), of topics.
 *
 * DescribeConfigs Request (Version: 4) => [resources] include_synonyms include_documentation TAG_BUFFER
 *   resources => resource_type resource_name [configuration_keys] TAG_BUFFER
 *     resource_type => INT8, resource_name => COMPACT_STRING, configuration_keys => COMPACT_STRING
 *   include_synonyms => BOOLEAN, include_documentation => BOOLEAN
 *
 * DescribeConfigs Response (Version: 4) => throttle_time_ms [results] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   results => error_code error_message resource_type resource_name [configs] TAG_BUFFER
 *     error_code => INT16, error_message => COMPACT_NULLABLE_STRING, resource_type => INT8, resource_name => COMPACT_STRING
 *     configs => name value read_only config_source is_sensitive [synonyms] config_type documentation TAG_BUFFER
 *       name => COMPACT_STRING, value => COMPACT_NULLABLE_STRING, read_only => BOOLEAN, config_source => INT8
 *       is_sensitive => BOOLEAN
 *       synonyms => name value source TAG_BUFFER   (none, as we do not ask for them)
 *       config_type => INT8, documentation => COMPACT_NULLABLE_STRING
 */
export function describeTopicConfigs(topics: readonly string[], keys: readonly string[]): ApiRequest<TopicConfigs> {
  return {
    apiKey: 32,
    version: 4,
    name: 'DescribeConfigs',
    flexible: true,
    encode(writer) {
      writer.compactArray(topics, (topic) => {
        writer
          .int8(TOPIC)
          .compactString(topic)
          .compactArray(keys, (key) => writer.compactString(key))
          .tags()
      })
      writer.boolean(false).boolean(false).tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const results = reader.compactArray(() => {
        const errorCode = reader.int16()
        const errorMessage = reader.compactNullableString()
        reader.int8()
        const name = reader.compactString()
        const config = new Map(
          reader.compactArray((): [string, string | null] => {
            const entry: [string, string | null] = [reader.compactString(), reader.compactNullableString()]
            reader.boolean()
            reader.int8()
            reader.boolean()
            reader.compactArray(() => {
              reader.compactString()
              reader.compactNullableString()
              reader.int8()
              reader.tags()
            })
            reader.int8()
            reader.compactNullableString()
            reader.tags()
            return entry
          }),
        )
        reader.tags()
        return { name, errorCode, errorMessage, config }
      })
      return { throttleTimeMs, topics: results }
    },
  }
}
