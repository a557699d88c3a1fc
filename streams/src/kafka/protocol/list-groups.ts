import type { ApiRequest } from './api-request.js'

export interface ListedGroup {
  groupId: string
  /** `consumer` for members that read topics; '' for a group that has offsets alone. */
  protocolType: string
  /** As DescribedGroup's. */
  state: string
}

/**
 * ListGroups v4 (Kafka 2.6 and later), to every broker: each tells the groups it coordinates, as far as one may see them.
 *
 * ListGroups Request (Version: 4) => [states_filter] TAG_BUFFER
 *   states_filter => COMPACT_STRING           (none: all)
 *
 * ListGroups Response (Version: 4) => throttle_time_ms error_code [groups] TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16
 *   groups => group_id protocol_type group_state TAG_BUFFER
 *     group_id, protocol_type, group_state => COMPACT_STRING
 */
export function listGroups(): ApiRequest<{ throttleTimeMs: number; errorCode: number; groups: ListedGroup[] }> {
  return {
    apiKey: 16,
    version: 4,
    name: 'ListGroups',
    flexible: true,
    encode(writer) {
      writer.compactArray([], () => undefined).tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const errorCode = reader.int16()
      const groups = reader.compactArray(() => {
        const group = {
          groupId: reader.compactString(),
          protocolType: reader.compactString(),
          state: reader.compactString(),
        }
        reader.tags()
        return group
      })
      return { throttleTimeMs, errorCode, groups }
    },
  }
}
