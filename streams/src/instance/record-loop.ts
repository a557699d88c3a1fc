import type { CommitPipeline } from '../commit/commit-pipeline.js'
import { StreamsError } from '../errors.js'
import { isKafkaError, type KafkaError } from '../kafka/errors.js'
import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import type { Fetcher } from '../kafka/fetcher.js'
import type { GroupGeneration } from '../kafka/group-member.js'
import type { PoisonRecords } from '../processing/poison-records.js'
import { QuietPartitions } from '../processing/quiet-partitions.js'
import type { TaskManager } from './task-manager.js'

export interface RecordLoopOptions {
  fetcher: Fetcher
  tasks: TaskManager
  commits: CommitPipeline
  poison: PoisonRecords
  /** Under which records may be processed now; undefined while nothing may. */
  generation(): GroupGeneration | undefined
  onFailure(error: unknown): void
}

const LONGEST_WAIT_MS = 500

/** What is done over and over while the group is at rest: take what was fetched, process it, commit when it is time. */
export class RecordLoop {
  readonly #options: RecordLoopOptions
  readonly #quiet: QuietPartitions

  constructor(options: RecordLoopOptions) {
    this.#options = options
    this.#quiet = new QuietPartitions(options.fetcher)
  }

  /** One chunk, or what time brings; returns at least twice a second. */
  async step(): Promise<void> {
    const { fetcher, generation } = this.#options
    const chunk = await fetcher.poll(this.#waitMs()).catch((error: unknown) => {
      throw isKafkaError(error, 'OFFSET_OUT_OF_RANGE') ? inputLost(error) : error
    })
    if (generation() === undefined) return
    if (chunk?.records != null) await this.#process(chunk)
    this.#commitIfDue()
  }

  async #process(chunk: FetchedChunk): Promise<void> {
    const { fetcher, tasks, commits, poison } = this.#options
    const task = tasks
      .running()
      .find(
        ({ partition, processor }) =>
          partition === chunk.partition && processor.inputs.get(chunk.topic) === chunk.fetchOffset,
      )
    if (task === undefined) return
    if (commits.isFull) await commits.settled()
    const generation = this.#options.generation()
    if (generation === undefined) {
      // Not processed: it is fetched again.
      fetcher.assign(task.inputs)
      return
    }
    if (commits.isFull) this.#freeze(generation)
    const nowMs = performance.now()
    commits.begin(generation, nowMs)
    const count = task.processor.process(chunk, poison.of(chunk.topic, chunk.partition))
    if (count > 0) task.lastRecordAtMs = nowMs
    commits.processed(count)
  }

  #commitIfDue(): void {
    const { tasks, commits, generation } = this.#options
    const current = generation()
    if (commits.busy || current === undefined) return
    const nowMs = performance.now()
    const due = commits.hasWork && (commits.isFull || nowMs >= commits.dueAtMs(this.#inputIsLight))
    if (due || this.#announcementDueAtMs() <= nowMs || this.#quiet.dueAmong(tasks.running(), nowMs)) {
      this.#freeze(current)
    }
  }

  #freeze(generation: GroupGeneration): void {
    const { tasks, commits, onFailure } = this.#options
    const nowMs = performance.now()
    const due = tasks
      .running()
      .filter(
        (task) => task.processor.touched || task.processor.nextAnnouncementMs <= nowMs || this.#quiet.advance(task),
      )
    if (due.length > 0) commits.start(due, generation, onFailure)
  }

  get #inputIsLight(): boolean {
    return this.#options.fetcher.bufferedBytes === 0
  }

  #announcementDueAtMs(): number {
    const running = this.#options.tasks.running()
    return Math.min(Number.POSITIVE_INFINITY, ...running.map(({ processor }) => processor.nextAnnouncementMs))
  }

  /** Until something is to be done although nothing was fetched. */
  #waitMs(): number {
    const { commits } = this.#options
    if (commits.busy) return LONGEST_WAIT_MS
    const nowMs = performance.now()
    const commitMs = commits.hasWork ? commits.dueAtMs(this.#inputIsLight) - nowMs : LONGEST_WAIT_MS
    return Math.max(0, Math.min(LONGEST_WAIT_MS, commitMs, this.#announcementDueAtMs() - nowMs))
  }
}

/** Retention was faster than we, or the log was cut short: going on elsewhere would leave records out in silence. */
function inputLost(error: KafkaError): StreamsError {
  const { topic, partition } = error.concerns
  return new StreamsError(
    'OFFSETS_LOST',
    `${topic}-${partition} no longer has the offset at which the group is to go on: records were deleted before they were ` +
      `processed. To go on without them set the group's offsets explicitly (kafka-consumer-groups --reset-offsets), or ` +
      `start over with 'streams reset'`,
    { ...(topic !== undefined && { topic }), ...(partition !== undefined && { partition }) },
    { cause: error },
  )
}
