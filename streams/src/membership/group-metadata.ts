/**
 * What members tell the group's leader when they join, and what the leader tells everybody: JSON in the userData of
 * KafkaJS's consumer protocol, readable by DescribeGroups.
 */

export const METADATA_VERSION = 1

export interface MemberMetadata {
  readonly v: typeof METADATA_VERSION
  readonly instance: string
  readonly transactionalId: string
  /** Base URL at which its queries are answered; null if it answers none. */
  readonly endpoint: string | null
  readonly startedAtMs: number
  readonly running: readonly string[]
  readonly stored: readonly string[]
  /** Transactional ids of everybody in the last assignment it saw: so that the leader can fence who is gone. */
  readonly knownTransactionalIds: readonly string[]
}

export interface AssignedMember {
  readonly memberId: string
  readonly instance: string
  readonly endpoint: string | null
  readonly transactionalId: string
  readonly active: readonly string[]
}

/** The whole map, the same for all members of one assignment; the epoch tells one assignment from another. */
export interface AssignmentMap {
  readonly v: typeof METADATA_VERSION
  readonly epoch: string
  readonly members: readonly AssignedMember[]
  readonly rejected: readonly string[]
}

export function encodeMetadata(metadata: MemberMetadata | AssignmentMap): Buffer {
  return Buffer.from(JSON.stringify(metadata), 'utf8')
}

/** @returns undefined when the bytes are not ours: another kind of consumer is in the group, or another version */
export function decodeMemberMetadata(bytes: Buffer): MemberMetadata | undefined {
  return decode<MemberMetadata>(bytes)
}

/** @returns undefined as decodeMemberMetadata */
export function decodeAssignmentMap(bytes: Buffer): AssignmentMap | undefined {
  return decode<AssignmentMap>(bytes)
}

function decode<T extends { v: number }>(bytes: Buffer): T | undefined {
  try {
    const metadata = JSON.parse(bytes.toString('utf8')) as T | null
    return metadata?.v === METADATA_VERSION ? metadata : undefined
  } catch {
    return undefined
  }
}
