import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { partitionFor } from '../kafka/partitioner.js'
import type { Compression } from '../kafka/records/compression.js'
import type { StreamsMetrics } from '../metrics.js'
import type { ErrorHandlers } from '../processing/error-handlers.js'
import type { StreamTask } from '../processing/stream-task.js'
import type { TaskOutput } from '../processing/task.js'
import type { CacheBudget } from '../state/cache-budget.js'
import type { Topology } from '../topology/topology.js'
import { appendDeadLetter } from './append-dead-letter.js'
import { commit, freeze } from './committer.js'
import { GivenUpReport } from './given-up-counts.js'
import type { IntervalProducer } from './interval-producer.js'
import { Interval, type Stamp } from './interval.js'
import { RefusedOutput } from './refused-output.js'

export interface CommitPipelineOptions {
  applicationId: string
  topology: Topology
  handlers: ErrorHandlers
  client: KafkaClient
  producer: IntervalProducer
  metrics: StreamsMetrics
  log: KafkaLog
  budget: CacheBudget
  /** An interval ends when it is this old ... */
  commitIntervalMs: number
  /** ... or has this many input records ... */
  maxRecords: number
  /** ... or this many bytes written by stateless nodes and dead letters ... */
  maxBytes: number
  /** ... and while input is light as soon as all of it is through, but not closer together than this. */
  minIntervalMs: number
  /** Of all that is written: outputs, changelogs, dead letters. */
  compression: Compression
  /** After each commit, before the next one may begin. */
  afterCommit(tasks: readonly StreamTask[]): Promise<void>
  /** A commit has ended, well or not: the next one may be due already. */
  onSettled(): void
}

/**
 * The current interval, and at most one before it that is being committed. Processing goes on while a commit is under
 * way, until the current interval is full.
 */
export class CommitPipeline {
  readonly output: TaskOutput
  readonly #options: CommitPipelineOptions
  readonly #report: GivenUpReport
  #interval: Interval
  #inFlight: Promise<void> | undefined
  #lastFreezeAtMs = Number.NEGATIVE_INFINITY

  constructor(options: CommitPipelineOptions) {
    this.#options = options
    this.#interval = new Interval(performance.now(), options.compression)
    const { client, metrics } = options
    this.#report = new GivenUpReport(options)
    this.output = {
      append: (topic, key, value, timestampMs, headers) => {
        const partition = partitionFor(key, client.partitionCount(topic))
        this.#interval.records.append(topic, partition, key, value, timestampMs, headers)
      },
      deadLetter: (record) => {
        appendDeadLetter(this.#interval.records, client, record)
        this.#interval.givenUp.add('dead-letter', record)
      },
      dropped: (record) => this.#interval.givenUp.add('dropped', record),
      late: (store) => metrics.late.inc({ store }),
    }
  }

  /** Nothing more may be processed before the interval was frozen. */
  get isFull(): boolean {
    const { maxRecords, maxBytes, budget } = this.#options
    const { recordCount, records } = this.#interval
    return recordCount >= maxRecords || records.sizeBytes >= maxBytes || budget.mustFreeze
  }

  get busy(): boolean {
    return this.#inFlight !== undefined
  }

  /** Whether anything was read since the last freeze. */
  get hasWork(): boolean {
    return this.#interval.stamp !== undefined
  }

  /** performance.now() at which the interval wants to be committed, when it has work and no commit is under way. */
  dueAtMs(inputIsLight: boolean): number {
    const { commitIntervalMs, minIntervalMs } = this.#options
    return inputIsLight ? this.#lastFreezeAtMs + minIntervalMs : this.#interval.openedAtMs + commitIntervalMs
  }

  /** Stamps the interval at its first record with the generation it belongs to; it commits with that one or not at all. */
  begin(stamp: Stamp, nowMs: number): void {
    if (this.#interval.stamp !== undefined) return
    this.#interval = new Interval(nowMs, this.#options.compression)
    this.#interval.stamp = { generationId: stamp.generationId, memberId: stamp.memberId }
  }

  processed(count: number): void {
    this.#interval.recordCount += count
    this.#options.metrics.records.inc(count)
  }

  /**
   * Freezes the interval and commits it in the background. Call only while not busy.
   * @param stamp the generation, for an interval that has only announcements to make and no record yet
   * @param onFailure told once if the commit fails; the caller then rolls back
   */
  start(tasks: readonly StreamTask[], stamp: Stamp, onFailure: (error: unknown) => void): void {
    if (this.#inFlight !== undefined) throw new Error('a commit is under way already')
    // What fences a commit are the offsets of its tasks: without one it must not be made.
    if (tasks.length === 0) throw new Error('a commit without a task')
    const { applicationId, producer, metrics } = this.#options
    const startedAtMs = performance.now()
    const frozen = freeze(this.#interval, tasks, this.#interval.stamp ?? stamp, applicationId, startedAtMs)
    this.#interval = new Interval(startedAtMs, this.#options.compression)
    this.#lastFreezeAtMs = startedAtMs
    const refused = new RefusedOutput(this.#options, frozen.givenUp)
    this.#inFlight = commit(producer, frozen, { applicationId, groupId: applicationId, refused })
      .then(async (visibleAtMs) => {
        metrics.commits.inc()
        this.#report.committed(frozen.givenUp, startedAtMs)
        metrics.commitSeconds.observe((performance.now() - startedAtMs) / 1000)
        for (const { createdAtMs } of frozen.tasks.map((task) => task.frozen)) {
          for (const atMs of createdAtMs) metrics.endToEndSeconds.observe(Math.max(0, visibleAtMs - atMs) / 1000)
        }
        await this.#options.afterCommit(tasks)
      })
      .catch((error: unknown) => {
        metrics.commitErrors.inc()
        onFailure(error)
      })
      .finally(() => {
        this.#inFlight = undefined
        this.#options.onSettled()
      })
  }

  /** Resolves when no commit is under way; never rejects, failures went to `onFailure`. */
  async settled(): Promise<void> {
    await this.#inFlight
  }

  /** Resolves when no commit is under way and all that was counted is told. */
  async close(): Promise<void> {
    await this.settled()
    this.#report.tell(performance.now())
  }

  /** Forgets what was collected; the transaction of a commit that failed is ended by the producer's next init(). */
  drop(): void {
    this.#interval = new Interval(performance.now(), this.#options.compression)
  }
}
