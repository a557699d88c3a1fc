import { decodeAssignment, decodeSubscription } from '../kafka/consumer-protocol.js'
import type { DescribedMember } from '../kafka/protocol/groups.js'
import { decodeAssignmentMap, decodeMemberMetadata, type AssignmentMap } from '../membership/group-metadata.js'

/** A member of the group, as far as what it told the group can be read. */
export interface GroupMemberDescription {
  readonly memberId: string
  readonly clientId: string
  readonly host: string
  /** null: no instance of this library, or of another version of it. */
  readonly instance: string | null
  readonly endpoint: string | null
}

export function describeMember({
  memberId,
  clientId,
  host,
  metadata,
  assignment,
}: DescribedMember): GroupMemberDescription {
  const told = read(() => decodeMemberMetadata(decodeSubscription(metadata).userData))
  // A member that joins tells nothing yet: then the last assignment knows who it is.
  const assigned = mapOf(assignment)?.members.find((member) => member.memberId === memberId)
  return {
    memberId,
    clientId,
    host: host.replace(/^\//, ''),
    instance: told?.instance ?? assigned?.instance ?? null,
    endpoint: told?.endpoint ?? assigned?.endpoint ?? null,
  }
}

/** The map that all members hold; undefined while they do not hold the same. */
export function assignmentOf(state: string, members: readonly DescribedMember[]): AssignmentMap | undefined {
  if (state !== 'Stable') return undefined
  const maps = members.map(({ assignment }) => mapOf(assignment))
  const [first] = maps
  return maps.every((map) => map?.epoch === first?.epoch) ? first : undefined
}

function mapOf(assignment: Buffer): AssignmentMap | undefined {
  return read(() => decodeAssignmentMap(decodeAssignment(assignment).userData))
}

/** Whoever is in the group may have written anything. */
function read<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}
