import { resolve } from 'node:path'
import type { Registry } from 'prom-client'
import { RestoreProgress, type RestoreListener } from './changelog/restore-progress.js'
import { StreamsError } from './errors.js'
import { failpoint } from './failpoints.js'
import { KafkaClient } from './kafka/client.js'
import type { KafkaConfig, KafkaLog } from './kafka/config.js'
import { requireCodec, type Compression } from './kafka/records/compression.js'
import type { AssignmentMap } from './membership/group-metadata.js'
import { createMetrics } from './metrics.js'
import { checkDeadLetterTopics, type ErrorHandlers } from './processing/error-handlers.js'
import type { StreamTask, TaskStatusName } from './processing/stream-task.js'
import type { QuerySource } from './queries/protocol.js'
import { standingOf, standingOfView } from './queries/role.js'
import type { Isolation } from './queries/task-reads.js'
import type { TaskView } from './queries/task-view.js'
import type { EngineFactory } from './state/engine.js'
import { engineFactory } from './state/engines.js'
import { StateDirectory } from './state/state-directory.js'
import { StreamInstance, type ProcessingGuarantee } from './instance/stream-instance.js'
import type { Topology } from './topology/topology.js'

/** What an application needs besides its topology. */
export interface KafkaStreamsOptions extends ErrorHandlers {
  /** Names the consumer group, the changelog topics and the state directory. One per application. */
  applicationId: string
  kafka: KafkaConfig
  /** Where state lies; each process needs one of its own. */
  stateDir: string
  /** The stable name of this process; without it one is made at the first start and kept in the state directory. */
  instanceId?: string
  /** Base URL at which other processes reach this one's queries. */
  endpoint?: string
  log: KafkaLog
  metrics?: Registry
  /** Default exactly-once. */
  guarantee?: ProcessingGuarantee
  /** An interval of processing is committed at least this often. Default 100 ms. */
  commitIntervalMs?: number
  /** ... and when it has this many input records. Default 20,000. */
  maxIntervalRecords?: number
  /** Of everything the application writes: outputs, changelogs, dead letters. Default none. */
  compression?: Compression
  /** For the live objects of all stores. Default 128 MiB. */
  cacheBytes?: number
  /** Default 256 KiB. */
  fetchBytesPerPartition?: number
  /** After this long without a heartbeat the group goes on without us. Default 10 s. */
  sessionTimeoutMs?: number
  /** Default 500 ms. A rebalance is noticed at the next one: that comes on top of a dead instance's session timeout. */
  heartbeatIntervalMs?: number
  /** How long the group waits for its members to finish what they are at. Default 20 s. */
  rebalanceTimeoutMs?: number
  /** After this long the broker aborts a transaction nobody ends. Default 10 s. */
  transactionTimeoutMs?: number
  /** Copies of each task's state that other processes keep warm, ready to take over and to answer queries. Default 1. */
  standbyReplicas?: number
  /**
   * A task moves to a process whose state lacks at most so many changelog records; others warm up first. Default 100,000,
   * which are restored in a fraction of a second.
   */
  acceptableRecoveryLag?: number
  /** How often it is looked whether input topics have changed. Default 1 min. */
  metadataMaxAgeMs?: number
  /** Of changelog topics; default: the broker's. */
  replicationFactor?: number
  /** Where tasks keep their state: engineFactory(name), or one of your own. Default LevelDB. */
  makeEngine?: EngineFactory
  /** State of tasks that this process has had nothing to do with for so long is removed. Default 24 h. */
  stateCleanupDelayMs?: number
}

/** What an application is at; it processes while RUNNING. */
export type KafkaStreamsState =
  'CREATED' | 'REBALANCING' | 'RESTORING' | 'RUNNING' | 'PENDING_SHUTDOWN' | 'CLOSED' | 'ERROR'

/** The legal moves; anything else is a broken invariant. */
const MOVES: Readonly<Record<KafkaStreamsState, readonly KafkaStreamsState[]>> = {
  CREATED: ['REBALANCING', 'PENDING_SHUTDOWN', 'ERROR'],
  REBALANCING: ['RESTORING', 'RUNNING', 'PENDING_SHUTDOWN', 'ERROR'],
  RESTORING: ['RUNNING', 'REBALANCING', 'PENDING_SHUTDOWN', 'ERROR'],
  RUNNING: ['REBALANCING', 'RESTORING', 'PENDING_SHUTDOWN', 'ERROR'],
  PENDING_SHUTDOWN: ['CLOSED'],
  CLOSED: [],
  ERROR: ['CLOSED'],
}

/** A task as this process has it. */
export interface TaskStatus {
  id: string
  status: TaskStatusName
  partition: number
  inputs: { topic: string; offset: number; lag: number | null }[]
  streamTimeMs: number
  closingClockMs: number
}

/** A task that can be asked about: the state of one moment, and who speaks for it. */
export interface ServedTask {
  readonly view: TaskView
  /**
   * Who answers, and how surely. To be called when the answer is made, after the view was read: a process may be frozen
   * or lose its task in between.
   */
  source(): QuerySource
}

/** How long each step of a clean close may take before it is given up. */
const CLOSE_TIMEOUT_MS = 15_000

/** An application: one process, one member of its group. Scale by starting more of them. */
export class KafkaStreams {
  readonly #options: KafkaStreamsOptions
  readonly #directory: StateDirectory
  readonly #client: KafkaClient
  readonly #stateListeners: ((state: KafkaStreamsState, previous: KafkaStreamsState) => void)[] = []
  readonly #restores = new RestoreProgress()
  readonly #fatalListeners: ((error: Error) => void)[] = []
  #state: KafkaStreamsState = 'CREATED'
  #instance: StreamInstance | undefined
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  /** After a failure the others are told at once; the connection stays until they were. */
  #leaving: Promise<void> | undefined

  constructor(
    readonly topology: Topology,
    options: KafkaStreamsOptions,
  ) {
    if (!/^[a-zA-Z0-9._-]{1,100}$/.test(options.applicationId)) {
      throw new TypeError(`application id '${options.applicationId}' must be 1 to 100 letters, digits, '.', '_' or '-'`)
    }
    checkDeadLetterTopics(topology, options)
    this.#options = options
    this.#directory = new StateDirectory(resolve(options.stateDir), options.applicationId)
    this.#client = new KafkaClient(options.kafka, options.log)
  }

  get state(): KafkaStreamsState {
    return this.#state
  }

  get applicationId(): string {
    return this.#options.applicationId
  }

  /** Known after start(). */
  get instanceId(): string {
    return this.#directory.instanceId
  }

  /** Told of every move, in order. It must not throw. */
  onStateChange(listener: (state: KafkaStreamsState, previous: KafkaStreamsState) => void): void {
    this.#stateListeners.push(listener)
  }

  /** Told when the application stopped because it cannot go on; the process should end. */
  onFatal(listener: (error: Error) => void): void {
    this.#fatalListeners.push(listener)
  }

  /** Told how the state of each task is restored: see RestoreEvent. The listener must not throw. */
  onRestore(listener: RestoreListener): void {
    this.#restores.listen(listener)
  }

  /**
   * Takes the state directory and starts to work; resolves when that has begun. A Kafka that is away is waited for.
   * @throws StreamsError LOCKED or STATE; CodecMissing when the compression cannot be loaded on this platform
   */
  async start(): Promise<void> {
    if (this.#state !== 'CREATED') throw new Error(`cannot start: the application is ${this.#state}`)
    requireCodec(this.#options.compression ?? 'none')
    await this.#directory.open(this.#options.instanceId)
    await failpoint('start.locked')
    if (this.#state !== 'CREATED') {
      await this.#directory.close()
      throw new Error('the application was closed while it started')
    }
    this.#move('REBALANCING')
    const { applicationId, log, metrics } = this.#options
    this.#instance = new StreamInstance({
      topology: this.topology,
      applicationId,
      client: this.#client,
      log,
      metrics: createMetrics(metrics, {
        inputLag: () => this.#inputLag(),
        cache: () => this.#instance?.cache,
        restoring: () => this.#restores.list(),
        standbys: () => this.#standbys(),
        standbyLag: () => this.#instance?.tasks.standbyLag() ?? [],
      }),
      restores: this.#restores,
      directory: this.#directory,
      makeEngine: this.#options.makeEngine ?? engineFactory('leveldb'),
      stateCleanupDelayMs: this.#options.stateCleanupDelayMs ?? 24 * 3_600_000,
      guarantee: this.#options.guarantee ?? 'exactly-once',
      endpoint: this.#options.endpoint ?? null,
      commitIntervalMs: this.#options.commitIntervalMs ?? 100,
      maxIntervalRecords: this.#options.maxIntervalRecords ?? 20_000,
      compression: this.#options.compression ?? 'none',
      cacheBytes: this.#options.cacheBytes ?? 128 << 20,
      fetchBytesPerPartition: this.#options.fetchBytesPerPartition ?? 256 << 10,
      sessionTimeoutMs: this.#options.sessionTimeoutMs ?? 10_000,
      heartbeatIntervalMs: this.#options.heartbeatIntervalMs ?? 500,
      rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs ?? 20_000,
      transactionTimeoutMs: this.#options.transactionTimeoutMs ?? 10_000,
      replicationFactor: this.#options.replicationFactor ?? -1,
      standbyReplicas: this.#options.standbyReplicas ?? 1,
      acceptableRecoveryLag: this.#options.acceptableRecoveryLag ?? 100_000,
      metadataMaxAgeMs: this.#options.metadataMaxAgeMs ?? 60_000,
      handlers: this.#options,
      onPhase: (phase) => {
        if (this.#state !== phase && MOVES[this.#state].includes(phase)) this.#move(phase)
      },
    })
    this.#running = this.#instance.run().catch((error: unknown) => this.#fail(error))
  }

  /** Commits what was processed, closes the state cleanly and leaves the group. Memoised. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The tasks this process has, those it keeps warm included. */
  tasks(): TaskStatus[] {
    return [...(this.#instance?.tasks.all.values() ?? [])].map((task) => ({
      id: task.id,
      status: task.status,
      partition: task.partition,
      inputs: task.inputs.map(({ topic, partition, offset }) => {
        return { topic, offset, lag: this.#instance?.lagOf(topic, partition, offset) ?? null }
      }),
      streamTimeMs: task.processor.clock.streamTimeMs,
      closingClockMs: task.processor.clock.closingClockMs,
    }))
  }

  *#inputLag() {
    for (const { partition, inputs } of this.tasks()) {
      for (const { topic, lag } of inputs) if (lag !== null) yield { topic, partition, records: lag }
    }
  }

  *#standbys() {
    for (const { view, source } of this.served()) {
      const { role, staleMs } = source()
      if (role === 'standby') yield { task: view.taskId, staleSeconds: staleMs / 1000 }
    }
  }

  /** Partitions of an input topic; 0 before they are known. */
  partitionCount(topic: string): number {
    return this.#instance?.partitionsOf(topic) ?? 0
  }

  /** Who does what, as the leader decided last; undefined before the first assignment. */
  get assignment(): AssignmentMap | undefined {
    return this.#instance?.assignment
  }

  /** The tasks of this instance whose state is complete, for queries. Close the views that were read. */
  served(isolation: Isolation = 'committed'): ServedTask[] {
    const instance = this.#instance
    if (instance === undefined || this.#state === 'ERROR') return []
    return [...instance.tasks.all.values()]
      .filter((task) => task.status !== 'CLOSED' && instance.tasks.isComplete(task))
      .map((task) => ({ view: task.view(isolation), source: this.#sourceOf(task, instance) }))
  }

  /** An answer speaks for the generation in which its view was taken: by the next one others may have had the task. */
  #sourceOf(task: StreamTask, instance: StreamInstance): () => QuerySource {
    const standing = (nowMs: number) => {
      const { status } = task
      return standingOf({ status, currentUntilMs: instance.tasks.currentAtMs(task) }, instance.membership, nowMs)
    }
    const generation = instance.generationId
    const viewedAtMs = performance.now()
    const viewed = standing(viewedAtMs)
    return () => {
      const nowMs = performance.now()
      const isActive = generation === instance.generationId && standing(nowMs).role === 'active'
      return {
        instance: this.#directory.instanceId,
        ...standingOfView(viewed, isActive, nowMs - viewedAtMs),
        generation,
      }
    }
  }

  async #close(): Promise<void> {
    if (this.#state === 'CREATED') {
      this.#move('PENDING_SHUTDOWN')
      this.#move('CLOSED')
      return
    }
    const failed = this.#state === 'ERROR'
    if (!failed) this.#move('PENDING_SHUTDOWN')
    this.#instance?.stop()
    await within(CLOSE_TIMEOUT_MS, this.#running)
    await within(CLOSE_TIMEOUT_MS, this.#instance?.close({ commit: !failed }))
    await within(CLOSE_TIMEOUT_MS, this.#leaving)
    await this.#client.close()
    await this.#directory.close()
    this.#move('CLOSED')
  }

  #fail(error: unknown): void {
    if (this.#state === 'PENDING_SHUTDOWN' || this.#state === 'CLOSED') {
      this.#options.log.warn({ err: error }, 'an error while closing')
      return
    }
    this.#move('ERROR')
    const known = error instanceof Error ? error : new StreamsError('PROCESSING', String(error))
    this.#options.log.error({ err: known }, 'the application stopped')
    this.#leaving = this.#instance?.leave()
    for (const listener of this.#fatalListeners) listener(known)
  }

  #move(state: KafkaStreamsState): void {
    const previous = this.#state
    if (!MOVES[previous].includes(state)) throw new Error(`illegal move from ${previous} to ${state}`)
    this.#state = state
    this.#options.log.info({ state, previous }, 'state changed')
    for (const listener of this.#stateListeners) listener(state, previous)
  }
}

/** Waits for something that may hang when Kafka is away. */
async function within(timeoutMs: number, work: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([work, new Promise<void>((done) => (timer = setTimeout(done, timeoutMs)))])
  clearTimeout(timer)
}
