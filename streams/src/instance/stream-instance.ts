import { setTimeout as delay } from 'node:timers/promises'
import type { RestoreProgress } from '../changelog/restore-progress.js'
import type { IntervalProducer } from '../commit/interval-producer.js'
import { CommitPipeline } from '../commit/commit-pipeline.js'
import { messageOf, StreamsError } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { causeOf, Failures } from './failures.js'
import { AtLeastOnceProducer } from '../kafka/at-least-once-producer.js'
import { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { KafkaError } from '../kafka/errors.js'
import { Fetcher } from '../kafka/fetcher.js'
import { GroupMember } from '../kafka/group-member.js'
import type { Compression } from '../kafka/records/compression.js'
import type { OffsetToCommit } from '../kafka/protocol/offset-commit.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import type { AssignmentMap, SubTopologyMetadata } from '../membership/group-metadata.js'
import { createAssignor } from '../membership/leader.js'
import type { RollbackCause, StreamsMetrics } from '../metrics.js'
import { decide, defaultDecision, type ErrorHandlers } from '../processing/error-handlers.js'
import { PoisonRecords } from '../processing/poison-records.js'
import { PlaceInGroup } from './place-in-group.js'
import { RecordLoop } from './record-loop.js'
import { leaseOf, ownedUntilMs, type Membership } from '../queries/role.js'
import type { EngineFactory } from '../state/engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import type { StateDirectory } from '../state/state-directory.js'
import { TaskManager } from './task-manager.js'
import { checkInputsUnchanged, prepareTopics, type TaskPlan } from './topics.js'
import type { Topology } from '../topology/topology.js'
import { WarmUpCalls } from './warm-up-calls.js'

/**
 * - exactly-once: outputs, states and offsets in one transaction
 * - at-least-once: without one; after a crash or a failed commit some records may be counted again, none is lost
 */
export type ProcessingGuarantee = 'exactly-once' | 'at-least-once'

export interface InstanceOptions {
  guarantee: ProcessingGuarantee
  topology: Topology
  applicationId: string
  client: KafkaClient
  log: KafkaLog
  metrics: StreamsMetrics
  restores: RestoreProgress
  directory: StateDirectory
  makeEngine: EngineFactory
  stateCleanupDelayMs: number
  handlers: ErrorHandlers
  endpoint: string | null
  commitIntervalMs: number
  maxIntervalRecords: number
  compression: Compression
  cacheBytes: number
  fetchBytesPerPartition: number
  sessionTimeoutMs: number
  heartbeatIntervalMs: number
  rebalanceTimeoutMs: number
  transactionTimeoutMs: number
  replicationFactor: number
  standbyReplicas: number
  acceptableRecoveryLag: number
  metadataMaxAgeMs: number
  onPhase(phase: 'REBALANCING' | 'RESTORING' | 'RUNNING'): void
}

/** Fetched but unprocessed records that wait, for all partitions together. */
const FETCH_AHEAD_BYTES = 16 << 20
const MAX_INTERVAL_BYTES = 6 << 20
const MIN_COMMIT_INTERVAL_MS = 20

/**
 * One member of the application's group at work: joins, takes its tasks, reads, processes, commits, and rolls back.
 * `run()` is the one place where things happen one after the other; commits and restores run beside it and report back.
 */
export class StreamInstance {
  readonly cache: CacheBudget
  readonly #options: InstanceOptions
  readonly #admin: KafkaAdmin
  readonly #producer: IntervalProducer
  readonly #member: GroupMember
  readonly #fetcher: Fetcher
  readonly #commits: CommitPipeline
  readonly #tasks: TaskManager
  readonly #place: PlaceInGroup
  readonly #startedAtMs = Date.now()
  #plan: readonly TaskPlan[] = []
  #topology: readonly SubTopologyMetadata[] = []
  #prepared = false
  #tasksMatch = true
  #producerReady = false
  readonly #warmUpCalls = new WarmUpCalls()
  #failure: { error: unknown } | undefined
  readonly #failures: Failures
  readonly #records: RecordLoop
  readonly #stopping = new AbortController()

  constructor(options: InstanceOptions) {
    this.#options = options
    const { client, applicationId, directory, log, metrics } = options
    this.#admin = new KafkaAdmin(client)
    const poison = new PoisonRecords((record, error) => {
      const { onProcessingError = options.handlers.onProcessingError, deadLetterTopic } = options.topology.sourceOf(
        record.topic,
      )!
      return decide(onProcessingError ?? defaultDecision(deadLetterTopic), record, error)
    })
    this.#failures = new Failures(poison, log)
    this.cache = new CacheBudget(options.cacheBytes)
    const [transactionalId, timeoutMs] = [this.#transactionalId, options.transactionTimeoutMs]
    const exactlyOnce = options.guarantee === 'exactly-once'
    this.#producer = exactlyOnce
      ? new TransactionalProducer(client, { transactionalId, transactionTimeoutMs: timeoutMs })
      : new AtLeastOnceProducer(client, {
          transactionalId,
          timeoutMs,
          ownedUntilMs: () => this.#member.lastHeartbeatAtMs + this.membership.leaseMs,
        })
    this.#fetcher = new Fetcher(client, {
      isolation: 'read_committed',
      maxBytesPerPartition: options.fetchBytesPerPartition,
      maxBufferedBytes: FETCH_AHEAD_BYTES,
      log,
    })
    this.#commits = new CommitPipeline({
      applicationId,
      topology: options.topology,
      handlers: options.handlers,
      client,
      producer: this.#producer,
      metrics,
      log,
      budget: this.cache,
      commitIntervalMs: options.commitIntervalMs,
      maxRecords: options.maxIntervalRecords,
      maxBytes: MAX_INTERVAL_BYTES,
      compression: options.compression,
      minIntervalMs: Math.min(MIN_COMMIT_INTERVAL_MS, options.commitIntervalMs),
      onSettled: () => this.#fetcher.wake(),
      afterCommit: async (tasks) => {
        this.#failures.committed()
        poison.committed(tasks)
        for (const task of tasks) metrics.expired.inc(await task.expire())
      },
    })
    this.#tasks = new TaskManager({
      topology: options.topology,
      applicationId,
      client,
      admin: this.#admin,
      log,
      metrics,
      restores: options.restores,
      directory,
      makeEngine: options.makeEngine,
      acceptableRecoveryLag: options.acceptableRecoveryLag,
      stateCleanupDelayMs: options.stateCleanupDelayMs,
      cache: this.cache,
      output: this.#commits.output,
      handlers: options.handlers,
      ...(!exactlyOnce && { commitStart: (offsets: readonly OffsetToCommit[]) => this.#commitStart(offsets) }),
      onRunning: (task) => this.#fetcher.assign(task.inputs),
      onFailure: this.#onFailure,
      wake: () => this.#fetcher.wake(),
    })
    this.#place = new PlaceInGroup({ ...options, instanceId: directory.instanceId })
    this.#member = new GroupMember(client, {
      groupId: applicationId,
      topics: options.topology.sourceTopics,
      assignor: createAssignor({
        client,
        admin: this.#admin,
        log,
        applicationId,
        assignor: { standbyReplicas: options.standbyReplicas, acceptableLag: options.acceptableRecoveryLag },
        sessionTimeoutMs: options.sessionTimeoutMs,
        metadata: () => ({
          instance: directory.instanceId,
          transactionalId: this.#transactionalId,
          endpoint: options.endpoint,
          startedAtMs: this.#startedAtMs,
          topology: this.#topology,
          ...this.#tasks.standing(),
          knownTransactionalIds: this.#place.map?.members.map(({ transactionalId }) => transactionalId) ?? [],
        }),
      }),
      sessionTimeoutMs: options.sessionTimeoutMs,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      log,
      onMemberId: (memberId) => directory.rememberMemberId(memberId),
    })
    this.#member.onChange = () => this.#fetcher.wake()
    this.#records = new RecordLoop({
      fetcher: this.#fetcher,
      tasks: this.#tasks,
      commits: this.#commits,
      poison,
      generation: () =>
        this.#member.state === 'stable' && this.#failure === undefined ? this.#member.generation : undefined,
      onFailure: this.#onFailure,
    })
  }

  get tasks(): TaskManager {
    return this.#tasks
  }

  get assignment(): AssignmentMap | undefined {
    return this.#place.map
  }

  get generationId(): number {
    return this.#place.generationId
  }

  /** What decides as what queries are answered. */
  get membership(): Membership {
    const { state, lastHeartbeatAtMs } = this.#member
    return { state, lastHeartbeatAtMs, leaseMs: leaseOf(this.#options) }
  }

  partitionsOf(topic: string): number {
    return this.#plan.filter(({ topics }) => topics.includes(topic)).length
  }

  /** Records from `offset` on, as of what the fetcher last heard of the partition; undefined before the first answer. */
  lagOf(topic: string, partition: number, offset: number): number | undefined {
    const answered = this.#fetcher.answered(topic, partition)
    return answered && Math.max(0, answered.highWatermark - offset)
  }

  /**
   * Works until `stop()`.
   * @throws what cannot be mended by rolling back: StreamsError, or a KafkaError of kind fatal
   */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#getReady()
        await this.#records.step()
        this.#throwFailure()
      } catch (error) {
        // Also while stopping: what a failure left half done must not be committed by the close.
        await this.#rollBack(error)
      }
    }
  }

  /** Makes `run()` return; then commits what was processed, closes the tasks cleanly and leaves the group. */
  stop(): void {
    this.#stopping.abort()
    this.#tasks.interrupt()
    this.#fetcher.wake()
    if (this.#member.state === 'joining') void this.#member.leave().catch(() => undefined)
  }

  /** After `run()`. `commit` is false when Kafka is not to be relied upon any more. */
  async close({ commit }: { commit: boolean }): Promise<void> {
    await this.#tasks.halt()
    if (commit && ['stable', 'rebalance-needed'].includes(this.#member.state)) {
      await this.#drain().catch((error: unknown) => {
        this.#options.log.warn(
          { reason: messageOf(error) },
          'the last interval is not committed: it is processed again',
        )
      })
    }
    await this.#commits.close()
    await failpoint('close.drained')
    await this.#fetcher.close()
    this.#tasks.suspend(ownedUntilMs(this.membership, performance.now()))
    await this.#tasks.close()
    await failpoint('close.tasks-closed')
    if (commit) await this.leave()
    await failpoint('close.left')
    await this.#member.close()
  }

  /** Lets the others take over at once. The member id stays noted: should this not arrive, our next start repeats it. */
  async leave(): Promise<void> {
    await this.#member.leave().catch(() => undefined)
  }

  get #transactionalId(): string {
    return `${this.#options.applicationId}-${this.#options.directory.instanceId}`
  }

  async #getReady(): Promise<void> {
    if (!this.#prepared) await this.#prepare()
    if (this.#member.state === 'rebalance-needed') await this.#drain()
    // Expelled, or no time left, with work under way: none of it may be committed any more.
    if (this.#member.state !== 'stable' && (this.#commits.busy || this.#commits.hasWork))
      await this.#discard('expelled')
    if (!this.#producerReady) {
      await this.#producer.init({ signal: this.#stopping.signal })
      this.#producerReady = true
    }
    if (this.#member.state !== 'stable') await this.#join()
    if (!this.#tasksMatch) await this.#matchTasks()
    if (this.#place.isTaken(performance.now())) return
    this.#tasks.takeUp()
    this.#options.onPhase(this.#tasks.allRun ? 'RUNNING' : 'RESTORING')
    this.#callWhenWarm()
    const nowMs = performance.now()
    // Who has just been woken may not know yet that the tasks are another's.
    const isOwner = ownedUntilMs(this.membership, nowMs) === nowMs
    if (isOwner && !this.#commits.busy) await this.#tasks.touch(nowMs)
    await this.#tasks.cleanUp(performance.now())
  }

  /** Once, in this order: our transactional id fences our predecessor before the group lets us in. */
  async #prepare(): Promise<void> {
    const { client, directory, applicationId, topology, replicationFactor } = this.#options
    await client.connect()
    this.#plan = await prepareTopics({ client, admin: this.#admin }, applicationId, topology, replicationFactor)
    this.#topology = topology.subTopologies.map(({ id, sourceTopics, stores }) => ({
      id,
      partitions: this.#plan.filter((task) => task.subTopologyId === id).length,
      sourceTopics,
      stores: stores.map(({ name }) => name),
    }))
    await failpoint('start.topics-ready')
    await this.#producer.init({ signal: this.#stopping.signal })
    this.#producerReady = true
    await failpoint('start.producer-ready')
    const former = await directory.memberId()
    if (former !== undefined) await this.#admin.leaveGroup(applicationId, former)
    await failpoint('start.former-left')
    await this.#tasks.openStored(this.#plan)
    await failpoint('start.state-opened')
    this.#stopping.signal.throwIfAborted()
    this.#watchInputs()
    this.#prepared = true
  }

  /** A topic that grows is noticed while we run too: nobody would read its new partitions. */
  #watchInputs(): void {
    const look = () => {
      checkInputsUnchanged(this.#admin, this.#plan).catch((error: unknown) => {
        if (error instanceof StreamsError) this.#onFailure(error)
      })
    }
    const timer = setInterval(look, this.#options.metadataMaxAgeMs)
    this.#stopping.signal.addEventListener('abort', () => clearInterval(timer))
  }

  /**
   * Before a rebalance: everything processed so far is committed with the generation it was processed under. When the
   * commit under way took more than half of the time the group waits for us, the rest is left to be dropped.
   */
  async #drain(): Promise<void> {
    const startedAtMs = performance.now()
    await this.#tasks.halt()
    await this.#commits.settled()
    this.#throwFailure()
    const generation = this.#member.generation
    const inTime = performance.now() - startedAtMs < this.#options.rebalanceTimeoutMs / 2
    const touched = this.#tasks.running().filter(({ processor }) => processor.touched)
    if (touched.length > 0 && generation !== undefined && inTime) {
      this.#commits.start(touched, generation, this.#onFailure)
      await this.#commits.settled()
      this.#throwFailure()
    }
    this.#fetcher.unassignAll()
    await failpoint('rebalance.drained')
  }

  async #join(): Promise<void> {
    this.#options.onPhase('REBALANCING')
    await this.#tasks.halt()
    this.#fetcher.unassignAll()
    // Before the group is asked: from then on others may be given what is ours.
    this.#tasks.suspend(ownedUntilMs(this.membership, performance.now()))
    // A group that one leaves at once would have been made to wait for nothing.
    this.#stopping.signal.throwIfAborted()
    this.#place.adopt(await this.#member.join(), this.#topology)
    this.#tasksMatch = false
    await failpoint('rebalance.joined')
    this.#options.metrics.rebalances.inc()
  }

  /** Takes on the tasks of the assignment; tried again if a part of it fails. */
  async #matchTasks(): Promise<void> {
    await this.#tasks.assign(this.#place.role)
    this.#tasksMatch = true
  }

  #callWhenWarm(): void {
    const { warmup } = this.#place.role
    if (!this.#warmUpCalls.isDue(warmup, this.#tasks.isWarm, performance.now())) return
    this.#options.log.info({ tasks: warmup }, 'ready to take over tasks')
    this.#member.askToRebalance()
  }

  async #commitStart(offsets: readonly OffsetToCommit[]): Promise<void> {
    const groupId = this.#options.applicationId
    const { generation } = this.#member
    if (generation === undefined) throw KafkaError.named('UNKNOWN_MEMBER_ID', { groupId })
    await this.#producer.sendOffsets({ groupId, ...generation }, offsets)
  }

  /** Told by a commit or a restore that runs beside the loop. */
  readonly #onFailure = (error: unknown): void => {
    this.#failure ??= { error }
    this.#fetcher.wake()
  }

  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure.error
  }

  /** Goes back to the last commit, and stops for what that does not mend. */
  async #rollBack(error: unknown): Promise<void> {
    // What our own end breaks off, a start or a join, is no failure: it is not counted.
    if (this.#stopping.signal.aborted) return this.#discard(undefined)
    await this.#discard(causeOf(error))
    if (this.#stopping.signal.aborted) return
    await delay(this.#failures.judge(error))
  }

  /**
   * Drops everything that is not committed: live objects (they are mutated in place), what was fetched, sequence
   * numbers. Whatever happened to the open transaction, the next InitProducerId waits for it or ends it; then every task
   * is validated again.
   * @param cause undefined: not to be counted
   */
  async #discard(cause: RollbackCause | undefined): Promise<void> {
    await this.#tasks.halt()
    await this.#commits.settled()
    this.#failure = undefined
    this.#commits.drop()
    this.#fetcher.unassignAll()
    this.#tasks.rollBack(ownedUntilMs(this.membership, performance.now()))
    this.#producerReady = false
    if (cause !== undefined) this.#options.metrics.rollbacks.inc({ cause })
  }
}
