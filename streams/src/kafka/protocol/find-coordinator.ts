import type { ApiRequest } from './api-request.js'

export interface FindCoordinatorAnswer {
  throttleTimeMs: number
  errorCode: number
  errorMessage: string | null
  nodeId: number
  host: string
  port: number
}

/**
 * FindCoordinator v3 (Kafka 2.4 and later): which broker keeps a group's or a transactional id's state.
 *
 * FindCoordinator Request (Version: 3) => key key_type TAG_BUFFER
 *   key => COMPACT_STRING
 *   key_type => INT8                           (0 = group, 1 = transaction)
 *
 * FindCoordinator Response (Version: 3) => throttle_time_ms error_code error_message node_id host port TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16, error_message => COMPACT_NULLABLE_STRING
 *   node_id => INT32, host => COMPACT_STRING, port => INT32
 */
export function findCoordinator(kind: 'group' | 'transaction', key: string): ApiRequest<FindCoordinatorAnswer> {
  return {
    apiKey: 10,
    version: 3,
    name: 'FindCoordinator',
    flexible: true,
    encode(writer) {
      writer
        .compactString(key)
        .int8(kind === 'group' ? 0 : 1)
        .tags()
    },
    decode(reader) {
      const answer = {
        throttleTimeMs: reader.int32(),
        errorCode: reader.int16(),
        errorMessage: reader.compactNullableString(),
        nodeId: reader.int32(),
        host: reader.compactString(),
        port: reader.int32(),
      }
      reader.tags()
      return answer
    },
  }
}
