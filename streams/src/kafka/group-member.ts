import { failpoint } from '../failpoints.js'
import { KafkaAdmin } from './admin.js'
import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { GroupAssignor, GroupGeneration, GroupMemberState } from './group-generation.js'
import { Heartbeats } from './heartbeats.js'
import { ownConnections } from './own-connections.js'
import { joinGroupRequest, syncGroupRequest, type JoinGroupAnswer } from './protocol/group-membership.js'
import { Backoff, pause } from './retry.js'

export type * from './group-generation.js'

export interface GroupMemberOptions {
  groupId: string
  topics: readonly string[]
  assignor: GroupAssignor
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  heartbeatIntervalMs: number
  log: KafkaLog
  /** Awaited whenever the coordinator gives a new id, before SyncGroup: whoever stores it can leave on behalf of a crash. */
  onMemberId?(memberId: string): Promise<void>
}

/** While Kafka is away a process must still be able to end. */
const LEAVE_MS = 3000
/** Errors after which the member id is worth nothing. */
const EXPELLED = new Set(['UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'])
/** The generation is over, the member id may still be known. */
const OUTDATED = new Set(['ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS'])

/**
 * One member of a consumer group, driven by its owner: it says when to join, and is told when it must.
 *
 * It sends JoinGroup, SyncGroup and Heartbeat itself instead of driving KafkaJS's ConsumerGroup, which joins again
 * silently after UNKNOWN_MEMBER_ID and throws away the assignment's user data. So the generation that join() returns is
 * the one whose SyncGroup was answered. The group's protocol is Kafka's classic one (type `consumer`), its bytes readable
 * by every tool that describes groups.
 *
 * It has a connection of its own, because the coordinator holds a JoinGroup until all members came, and a broker answers
 * the requests of one connection one after the other. Coordinators that move and brokers that restart heal by themselves.
 */
export class GroupMember {
  onChange?: (state: GroupMemberState) => void
  readonly #options: GroupMemberOptions
  readonly #shared: KafkaClient
  readonly #client: KafkaClient
  readonly #heartbeats: Heartbeats
  readonly #stop = new AbortController()
  #state: GroupMemberState = 'unjoined'
  #generation: GroupGeneration | undefined
  #memberId = ''
  /** Dropped here but perhaps still known to the coordinator, where it would hold up the next rebalance. */
  #formerMemberId = ''
  #joining: Promise<GroupGeneration> | undefined
  /** The group went on without us since the last generation we were part of. */
  #expelled = false
  #leaving = false
  #failing = false
  #closing: Promise<void> | undefined

  constructor(client: KafkaClient, options: GroupMemberOptions) {
    this.#options = options
    this.#shared = client
    this.#client = ownConnections(client)
    this.#heartbeats = new Heartbeats(this.#client, {
      groupId: options.groupId,
      intervalMs: options.heartbeatIntervalMs,
      sessionTimeoutMs: options.sessionTimeoutMs,
      log: options.log,
      onRebalance: () => this.#become('rebalance-needed'),
      onLost: (error) => this.#lose(error),
    })
  }

  get state(): GroupMemberState {
    return this.#state
  }

  /** The generation that was joined last and is not lost; undefined while joining. */
  get generation(): GroupGeneration | undefined {
    return this.#generation
  }

  /** performance.now() at the start of the last successful heartbeat, or of the SyncGroup of the join; -Infinity before. */
  get lastHeartbeatAtMs(): number {
    return this.#heartbeats.lastSuccessAtMs
  }

  /**
   * Joins the group and resolves with the new generation when this member is part of it. Retries until it is: rejected
   * only by what does not heal (a KafkaError of kind `fatal`, an assignor that throws), by leave() and by close().
   * Heartbeats stop before the first request (a late one would be answered with ILLEGAL_GENERATION) and start after it.
   */
  join(): Promise<GroupGeneration> {
    if (this.#joining !== undefined) throw new Error('join() is already in progress')
    if (this.#closing !== undefined) throw new Error('the group member is closed')
    this.#joining = this.#join().finally(() => {
      this.#joining = undefined
    })
    return this.#joining
  }

  /** Has the leader decide again, with what this member tells of itself now: as if the group had asked for a rebalance. */
  askToRebalance(): void {
    if (this.#state === 'stable') this.#become('rebalance-needed')
  }

  /** Leaves the group, so that the others need not wait for the session to end; a join() in progress is rejected. */
  async leave(): Promise<void> {
    this.#leaving = true
    try {
      // One that is in flight goes nowhere: it needs no waiting for.
      void this.#heartbeats.stop()
      await this.#leaveAs(this.#memberId)
      this.#memberId = ''
      await this.#joining?.catch(() => undefined)
    } finally {
      this.#leaving = false
      this.#generation = undefined
      this.#become('unjoined')
    }
  }

  /** Stops heartbeats and closes the connection, without leaving: leave() first, unless the id shall be kept. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    const heartbeats = this.#heartbeats.stop()
    await this.#client.close()
    await heartbeats
    await this.#joining?.catch(() => undefined)
  }

  async #join(): Promise<GroupGeneration> {
    this.#become('joining')
    this.#generation = undefined
    await this.#heartbeats.stop()
    const backoff = new Backoff({ firstMs: 50 })
    this.#failing = false
    try {
      if (this.#formerMemberId !== '') await this.#leaveAs(this.#formerMemberId)
      this.#formerMemberId = ''
      for (;;) {
        const generation = await this.#tryJoin(backoff)
        if (generation === undefined) continue
        this.#generation = generation
        this.#expelled = false
        this.#become('stable')
        return generation
      }
    } catch (error) {
      this.#become('unjoined')
      throw error
    }
  }

  /** One round of JoinGroup and SyncGroup; undefined when it has to be tried again. */
  async #tryJoin(backoff: Backoff): Promise<GroupGeneration | undefined> {
    const { groupId, log } = this.#options
    this.#failIfLeaving()
    try {
      const joined = await this.#joinGroup()
      // leave() did not know this id yet, which the group would wait for until its session ends.
      if (this.#leaving && joined.memberId !== this.#memberId) await this.#leaveAs(joined.memberId)
      this.#failIfLeaving()
      if (joined.memberId !== this.#memberId) {
        this.#memberId = joined.memberId
        await this.#options.onMemberId?.(joined.memberId)
      }
      if (joined.errorCode !== 0) return undefined // MEMBER_ID_REQUIRED: again, with the id
      const generation = await this.#syncGroup(joined)
      this.#failIfLeaving()
      const { generationId, memberId, isLeader, assignment } = generation
      const partitions = [...assignment.values()].reduce((sum, { length }) => sum + length, 0)
      log.info({ groupId, generationId, memberId, isLeader, partitions }, 'joined the group')
      return generation
    } catch (cause) {
      this.#failIfLeaving()
      if (!(cause instanceof KafkaError)) throw cause
      await this.#recover(cause, backoff)
      return undefined
    }
  }

  /** The answer is either without error or MEMBER_ID_REQUIRED; both bring the member id. */
  async #joinGroup(): Promise<JoinGroupAnswer> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs, assignor, topics } = this.#options
    await this.#client.connect()
    const coordinator = await this.#client.coordinatorOf('group', groupId)
    const metadata = encodeSubscription({ topics, userData: assignor.userData({ expelled: this.#expelled }) })
    const joined = await this.#client.send(
      coordinator,
      joinGroupRequest({
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        protocols: [{ name: assignor.name, metadata }],
      }),
    )
    const error = joined.errorCode === 0 ? undefined : KafkaError.fromCode(joined.errorCode, { groupId })
    if (error !== undefined && error.name !== 'MEMBER_ID_REQUIRED') throw error
    return joined
  }

  async #syncGroup(joined: JoinGroupAnswer): Promise<GroupGeneration> {
    const { groupId, rebalanceTimeoutMs } = this.#options
    const { generationId, memberId } = joined
    const isLeader = joined.leader === memberId
    const assignments = isLeader ? await this.#assign(joined) : []
    const coordinator = await this.#client.coordinatorOf('group', groupId)
    // The coordinator starts the session anew when it takes this request in, so not before this moment.
    const startedAtMs = performance.now()
    const synced = await this.#client.send(
      coordinator,
      syncGroupRequest({ groupId, generationId, memberId, rebalanceTimeoutMs, assignments }),
    )
    if (synced.errorCode !== 0) throw KafkaError.fromCode(synced.errorCode, { groupId })
    const { partitions, userData } = decodeAssignment(synced.assignment)
    this.#heartbeats.start({ generationId, memberId }, startedAtMs)
    return { generationId, memberId, isLeader, assignment: partitions, userData }
  }

  async #assign(joined: JoinGroupAnswer): Promise<{ memberId: string; assignment: Buffer }[]> {
    const members = joined.members.map(({ memberId, metadata }) => ({ memberId, ...decodeSubscription(metadata) }))
    try {
      const assigned = await this.#options.assignor.assign(members, joined.generationId)
      await failpoint('rebalance.assigned')
      const nothing = { partitions: new Map<string, number[]>(), userData: Buffer.alloc(0) }
      return members.map(({ memberId }) => ({
        memberId,
        assignment: encodeAssignment(assigned.get(memberId) ?? nothing),
      }))
    } catch (error) {
      if (error instanceof KafkaError && error.kind === 'retriable') throw error
      // A leader that cannot assign makes room for one that can.
      await this.#leaveAs(this.#memberId)
      this.#memberId = ''
      throw error
    }
  }

  /** Prepares the next attempt after an error, or throws it if another attempt is pointless. */
  async #recover(error: KafkaError, backoff: Backoff): Promise<void> {
    const { groupId, log } = this.#options
    if (EXPELLED.has(error.name)) {
      this.#expelled = true
      this.#memberId = ''
    } else if (!OUTDATED.has(error.name)) {
      if (error.kind !== 'retriable') throw error
      // The coordinator moved, is loading, or the connection broke.
      this.#client.forgetCoordinator('group', groupId)
      // A cluster that just started makes its coordinators while the first members come: no reason to warn.
      const level = error.name === 'NOT_COORDINATOR' ? 'info' : 'warn'
      if (!this.#failing) log[level]({ groupId, error: error.message }, 'joining the group fails, retrying')
      this.#failing = true
    }
    await pause(backoff.next(), this.#stop.signal)
  }

  #failIfLeaving(): void {
    if (this.#stop.signal.aborted) throw new Error('the group member was closed while it joined')
    if (this.#leaving) throw new Error('the group was left while joining it')
  }

  /** Over the shared connection: the own one may be occupied by a JoinGroup that waits. */
  async #leaveAs(memberId: string): Promise<void> {
    if (memberId === '') return
    const { groupId, log } = this.#options
    const done = new AbortController()
    const timeUp = pause(LEAVE_MS, done.signal).then(() => Promise.reject(new Error('no answer in time')))
    try {
      await Promise.race([new KafkaAdmin(this.#shared).leaveGroup(groupId, memberId), timeUp])
    } catch (error) {
      const { message } = toKafkaError(error, true)
      log.warn({ groupId, memberId, error: message }, 'could not leave the group; its session will run out')
    } finally {
      done.abort()
    }
  }

  #lose(error: KafkaError | undefined): void {
    this.#expelled = true
    const { groupId, log } = this.#options
    log.warn(
      { groupId, memberId: this.#memberId, error: error?.message ?? 'no heartbeat was answered' },
      'lost the group',
    )
    if (error?.name !== 'UNKNOWN_MEMBER_ID') this.#formerMemberId = this.#memberId
    this.#memberId = ''
    this.#generation = undefined
    this.#become('lost')
  }

  #become(state: GroupMemberState): void {
    if (this.#state === state) return
    this.#state = state
    this.onChange?.(state)
  }
}
