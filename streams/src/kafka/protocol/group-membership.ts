import type { ApiRequest } from './api-request.js'

const PROTOCOL_TYPE = 'consumer'

export interface JoinGroupParameters {
  groupId: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  /** '' for a member that has none yet. */
  memberId: string
  protocols: readonly { name: string; metadata: Buffer }[]
}

export interface JoinGroupAnswer {
  errorCode: number
  generationId: number
  protocolName: string | null
  leader: string
  memberId: string
  /** For the leader only; empty for the others. */
  members: { memberId: string; metadata: Buffer }[]
}

/**
 * JoinGroup v5. The coordinator holds it back until all known members joined or the rebalance timeout is over. A member
 * without an id is answered MEMBER_ID_REQUIRED and the id, to be sent again with it (KIP-394).
 *
 *   group_id | session_timeout_ms int32 | rebalance_timeout_ms int32 | member_id | group_instance_id (null) |
 *   protocol_type | [name | metadata bytes]
 *   throttle_time_ms int32 | error_code int16 | generation_id int32 | protocol_name | leader | member_id |
 *   [member_id | group_instance_id | metadata bytes]
 */
export function joinGroupRequest(parameters: JoinGroupParameters): ApiRequest<JoinGroupAnswer> {
  const { groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId, protocols } = parameters
  return {
    apiKey: 11,
    version: 5,
    name: 'JoinGroup',
    flexible: false,
    timeoutMs: rebalanceTimeoutMs,
    encode(writer) {
      writer.string(groupId).int32(sessionTimeoutMs).int32(rebalanceTimeoutMs).string(memberId).string(null)
      writer.string(PROTOCOL_TYPE).array(protocols, ({ name, metadata }) => {
        writer.string(name).nullableBytes(metadata)
      })
    },
    decode(reader) {
      reader.int32()
      return {
        errorCode: reader.int16(),
        generationId: reader.int32(),
        protocolName: reader.nullableString(),
        leader: reader.string(),
        memberId: reader.string(),
        members: reader.array(() => {
          const id = reader.string()
          reader.nullableString()
          return { memberId: id, metadata: reader.nullableBytes() ?? Buffer.alloc(0) }
        }),
      }
    },
  }
}

/**
 * SyncGroup v3. The leader brings everybody's assignment, the others an empty list; held back until the leader's is there.
 *
 *   group_id | generation_id int32 | member_id | group_instance_id (null) | [member_id | assignment bytes]
 *   throttle_time_ms int32 | error_code int16 | assignment bytes
 */
export function syncGroupRequest(parameters: {
  groupId: string
  generationId: number
  memberId: string
  rebalanceTimeoutMs: number
  assignments: readonly { memberId: string; assignment: Buffer }[]
}): ApiRequest<{ errorCode: number; assignment: Buffer }> {
  const { groupId, generationId, memberId, rebalanceTimeoutMs, assignments } = parameters
  return {
    apiKey: 14,
    version: 3,
    name: 'SyncGroup',
    flexible: false,
    timeoutMs: rebalanceTimeoutMs,
    encode(writer) {
      writer.string(groupId).int32(generationId).string(memberId).string(null)
      writer.array(assignments, (entry) => {
        writer.string(entry.memberId).nullableBytes(entry.assignment)
      })
    },
    decode(reader) {
      reader.int32()
      return { errorCode: reader.int16(), assignment: reader.nullableBytes() ?? Buffer.alloc(0) }
    },
  }
}

/**
 * Heartbeat v3.
 *
 *   group_id | generation_id int32 | member_id | group_instance_id (null)
 *   throttle_time_ms int32 | error_code int16
 */
export function heartbeatRequest(parameters: {
  groupId: string
  generationId: number
  memberId: string
}): ApiRequest<{ errorCode: number }> {
  const { groupId, generationId, memberId } = parameters
  return {
    apiKey: 12,
    version: 3,
    name: 'Heartbeat',
    flexible: false,
    encode(writer) {
      writer.string(groupId).int32(generationId).string(memberId).string(null)
    },
    decode(reader) {
      reader.int32()
      return { errorCode: reader.int16() }
    },
  }
}
