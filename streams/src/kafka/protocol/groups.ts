import type { ApiRequest } from './api-request.js'

export interface DescribedGroup {
  errorCode: number
  groupId: string
  /** 'Stable', 'Empty', 'PreparingRebalance', 'CompletingRebalance', 'Dead' (there is no such group). */
  state: string
  protocolType: string
  /** The assignor's name. */
  protocol: string
  members: DescribedMember[]
}

/** A member of a group as the coordinator knows it. */
export interface DescribedMember {
  memberId: string
  clientId: string
  host: string
  /** The subscription the member joined with, its userData inside. */
  metadata: Buffer
  /** What the leader assigned to it, its userData inside. */
  assignment: Buffer
}

/**
 * DescribeGroups v5, to the group's coordinator.
 *
 * DescribeGroups Request (Version: 5) => [groups] include_authorized_operations TAG_BUFFER
 *   groups => COMPACT_STRING, include_authorized_operations => BOOLEAN
 *
 * DescribeGroups Response (Version: 5) => throttle_time_ms [groups] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   groups => error_code group_id group_state protocol_type protocol_data [members] authorized_operations TAG_BUFFER
 *     error_code => INT16, group_id, group_state, protocol_type, protocol_data => COMPACT_STRING
 *     members => member_id group_instance_id client_id client_host member_metadata member_assignment TAG_BUFFER
 *       member_id => COMPACT_STRING, group_instance_id => COMPACT_NULLABLE_STRING, client_id, client_host => COMPACT_STRING
 *       member_metadata, member_assignment => COMPACT_BYTES
 *     authorized_operations => INT32
 */
export function describeGroups(
  groupIds: readonly string[],
): ApiRequest<{ throttleTimeMs: number; groups: DescribedGroup[] }> {
  return {
    apiKey: 15,
    version: 5,
    name: 'DescribeGroups',
    flexible: true,
    encode(writer) {
      writer
        .compactArray(groupIds, (groupId) => writer.compactString(groupId))
        .boolean(false)
        .tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const groups = reader.compactArray(() => {
        const group = {
          errorCode: reader.int16(),
          groupId: reader.compactString(),
          state: reader.compactString(),
          protocolType: reader.compactString(),
          protocol: reader.compactString(),
          members: reader.compactArray(() => {
            const memberId = reader.compactString()
            reader.compactNullableString()
            const member = {
              memberId,
              clientId: reader.compactString(),
              host: reader.compactString(),
              metadata: reader.compactNullableBytes() ?? Buffer.alloc(0),
              assignment: reader.compactNullableBytes() ?? Buffer.alloc(0),
            }
            reader.tags()
            return member
          }),
        }
        reader.int32()
        reader.tags()
        return group
      })
      return { throttleTimeMs, groups }
    },
  }
}

/**
 * LeaveGroup v4, to the group's coordinator. Works from any connection: it is how a restarted process takes out its former self.
 *
 * LeaveGroup Request (Version: 4) => group_id [members] TAG_BUFFER
 *   group_id => COMPACT_STRING
 *   members => member_id group_instance_id TAG_BUFFER
 *     member_id => COMPACT_STRING, group_instance_id => COMPACT_NULLABLE_STRING
 *
 * LeaveGroup Response (Version: 4) => throttle_time_ms error_code [members] TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16
 *   members => member_id group_instance_id error_code TAG_BUFFER
 *     member_id => COMPACT_STRING, group_instance_id => COMPACT_NULLABLE_STRING, error_code => INT16
 */
export function leaveGroup(
  groupId: string,
  memberId: string,
): ApiRequest<{ throttleTimeMs: number; errorCode: number; members: { errorCode: number }[] }> {
  return {
    apiKey: 13,
    version: 4,
    name: 'LeaveGroup',
    flexible: true,
    encode(writer) {
      writer.compactString(groupId)
      writer.compactArray([memberId], (id) => writer.compactString(id).compactString(null).tags()).tags()
    },
    decode(reader) {
      return {
        throttleTimeMs: reader.int32(),
        errorCode: reader.int16(),
        members: reader.compactArray(() => {
          reader.compactString()
          reader.compactNullableString()
          const member = { errorCode: reader.int16() }
          reader.tags()
          return member
        }),
      }
    },
  }
}

/**
 * DeleteGroups v2, to the group's coordinator.
 *
 * DeleteGroups Request (Version: 2) => [groups_names] TAG_BUFFER
 *   groups_names => COMPACT_STRING
 *
 * DeleteGroups Response (Version: 2) => throttle_time_ms [results] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   results => group_id error_code TAG_BUFFER
 *     group_id => COMPACT_STRING, error_code => INT16
 */
export function deleteGroups(
  groupIds: readonly string[],
): ApiRequest<{ throttleTimeMs: number; groups: { groupId: string; errorCode: number }[] }> {
  return {
    apiKey: 42,
    version: 2,
    name: 'DeleteGroups',
    flexible: true,
    encode(writer) {
      writer.compactArray(groupIds, (groupId) => writer.compactString(groupId)).tags()
    },
    decode(reader) {
      const throttleTimeMs = reader.int32()
      const groups = reader.compactArray(() => {
        const group = { groupId: reader.compactString(), errorCode: reader.int16() }
        reader.tags()
        return group
      })
      return { throttleTimeMs, groups }
    },
  }
}
