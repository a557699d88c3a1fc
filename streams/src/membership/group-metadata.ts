/**
 * What members tell the group's leader when they join, and what the leader tells everybody: JSON in the userData of
 * Kafka's consumer protocol, readable by DescribeGroups.
 */

export const METADATA_VERSION = 2

export interface MemberMetadata {
  readonly v: typeof METADATA_VERSION
  readonly instance: string
  readonly transactionalId: string
  /** Base URL at which its queries are answered; null if it answers none. */
  readonly endpoint: string | null
  readonly startedAtMs: number
  /** What it computes; members of one application that differ in it must not share tasks. */
  readonly topology: readonly SubTopologyMetadata[]
  /** Tasks it ran until now: their state is complete there. */
  readonly running: readonly string[]
  /** Tasks it kept warm until now. */
  readonly standing: readonly string[]
  /** How far the state on its disk is, by task: the sum of the positions in the task's changelogs. */
  readonly positions: Readonly<Record<string, number>>
  /** Transactional ids of everybody in the last assignment it saw: so that the leader can fence who is gone. */
  readonly knownTransactionalIds: readonly string[]
}

/** A part of the topology as others see it: which topics it reads and which stores it has, for each of its partitions. */
export interface SubTopologyMetadata {
  readonly id: number
  readonly partitions: number
  readonly sourceTopics: readonly string[]
  readonly stores: readonly string[]
}

/** A member of the group, and what it is to do. */
export interface AssignedMember {
  readonly memberId: string
  readonly instance: string
  readonly endpoint: string | null
  readonly transactionalId: string
  /** Tasks it processes. */
  readonly active: readonly string[]
  /** Tasks whose state it keeps warm, ready to answer queries and to take over. */
  readonly standby: readonly string[]
  /** Those of its standbys that are to become its own once their state is complete. */
  readonly warmup: readonly string[]
}

/** The whole map, the same for all members of one assignment; the epoch tells one assignment from another. */
export interface AssignmentMap {
  readonly v: typeof METADATA_VERSION
  readonly epoch: string
  /** The group generation it is for. */
  readonly generation: number
  readonly subTopologies: readonly SubTopologyMetadata[]
  readonly members: readonly AssignedMember[]
  /** Member ids turned away, because an older process has their instance id. */
  readonly rejected: readonly string[]
  /** Member ids without tasks, because the older members run another topology. */
  readonly strangers: readonly string[]
}

export function encodeMetadata(metadata: MemberMetadata | AssignmentMap): Buffer {
  return Buffer.from(JSON.stringify(metadata), 'utf8')
}

/** @returns undefined when the bytes are not ours: another kind of consumer is in the group, or another version */
export function decodeMemberMetadata(bytes: Buffer): MemberMetadata | undefined {
  const told = decode<MemberMetadata>(bytes)
  if (told === undefined) return undefined
  const { instance, transactionalId, startedAtMs, topology, running, standing, positions, knownTransactionalIds } = told
  const isOurs =
    typeof instance === 'string' &&
    typeof transactionalId === 'string' &&
    typeof startedAtMs === 'number' &&
    [topology, running, standing, knownTransactionalIds].every(Array.isArray) &&
    typeof positions === 'object' &&
    // Of JSON, so null is what is left.
    (positions as object | null) !== null
  return isOurs ? told : undefined
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
