/** Decides who reads what. Its name is the protocol all members must have in common. */
export interface GroupAssignor {
  readonly name: string
  /** What this member tells the leader; called synchronously before every JoinGroup. */
  userData(standing: { expelled: boolean }): Buffer
  /**
   * Called on the leader only, between JoinGroup and SyncGroup, so it has less than the session timeout. A member left
   * out gets nothing. A retriable KafkaError makes the group join again, anything else rejects the leader's join().
   */
  assign(members: readonly AssignableMember[], generationId: number): Promise<Map<string, MemberAssignment>>
}

export interface AssignableMember {
  memberId: string
  topics: readonly string[]
  userData: Buffer
}

export interface MemberAssignment {
  partitions: Map<string, number[]>
  userData: Buffer
}

export interface GroupGeneration {
  generationId: number
  memberId: string
  isLeader: boolean
  /** Partitions by topic. */
  assignment: Map<string, number[]>
  /** What the leader's assign() wrote for this member. */
  userData: Buffer
}

/**
 * - `unjoined`: before the first join(), after leave(), and after a join() that was rejected
 * - `joining`: between join() and its result; no heartbeats
 * - `stable`: the generation is current as far as the last heartbeat says
 * - `rebalance-needed`: the group wants to rebalance; commit with this generation, then join(). Heartbeats go on.
 * - `lost`: the group goes on without this member; nothing may be committed any more. The member id is forgotten.
 */
export type GroupMemberState = 'unjoined' | 'joining' | 'stable' | 'rebalance-needed' | 'lost'
