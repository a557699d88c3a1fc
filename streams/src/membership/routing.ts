import { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import { decodeAssignment } from '../kafka/consumer-protocol.js'
import { decodeAssignmentMap, type AssignmentMap } from './group-metadata.js'

/**
 * Reads back the map that the leader gave to everybody. KafkaJS drops it on the member's side, so it comes from
 * DescribeGroups, and it counts only if the group is stable and all members hold the map of the same epoch.
 * @returns undefined while the group is between two assignments
 */
export async function readAssignmentMap(client: KafkaClient, groupId: string): Promise<AssignmentMap | undefined> {
  const { state, members } = await new KafkaAdmin(client).describeGroup(groupId)
  if (state !== 'Stable') return undefined
  const maps = members.map(({ assignment }) => decodeAssignmentMap(decodeAssignment(assignment).userData))
  const [first] = maps
  if (first === undefined || maps.some((map) => map?.epoch !== first.epoch)) return undefined
  const present = new Set(members.map(({ memberId }) => memberId))
  return first.members.every(({ memberId }) => present.has(memberId)) ? first : undefined
}
