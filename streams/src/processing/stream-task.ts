import type { EngineFactory } from '../state/engine.js'
import type { CacheBudget } from '../state/cache-budget.js'
import { Expiry } from '../state/expiry.js'
import { TaskState } from '../state/task-state.js'
import { CommittedReads, LatestReads, type Isolation } from '../queries/task-reads.js'
import { TaskView } from '../queries/task-view.js'
import type { SubTopology } from '../topology/topology.js'
import type { ErrorHandlers } from './error-handlers.js'
import { TaskClock } from './task-clock.js'
import { TaskProcessor, type FrozenTask, type TaskOutput } from './task.js'

/**
 * CREATED: its state is open, and it has not run yet. RESTORING: it ran and has to be validated again. RUNNING while it
 * processes. STANDBY: it is kept up with its changelogs. CLOSED for good.
 */
export type TaskStatusName = 'CREATED' | 'RESTORING' | 'RUNNING' | 'STANDBY' | 'CLOSED'

const NO_CHANGES: FrozenTask['changes'] = new Map()

export interface StreamTaskOptions {
  subTopology: SubTopology
  partition: number
  directory: string
  bootId: string
  makeEngine: EngineFactory
  budget: CacheBudget
  output: TaskOutput
  handlers?: ErrorHandlers
}

/** A task of this instance: what it computes, what it keeps, and how far it is. */
export class StreamTask {
  readonly id: string
  readonly partition: number
  readonly subTopology: SubTopology
  readonly state: TaskState
  readonly #options: StreamTaskOptions
  readonly #committedClock = new TaskClock()
  #processor: TaskProcessor
  #expiry: Expiry
  #unpersisted: FrozenTask['changes'] = NO_CHANGES
  /** Entries written since expire() was called last. */
  #changed = 0
  status: TaskStatusName = 'CREATED'
  /** performance.now() when the last record was processed, or when it began to run: what quiet time is counted from. */
  lastRecordAtMs = 0
  /** Its live objects hold changes that were never committed: they must not be used again. */
  stale = true
  /** performance.now() until which its state was surely current, while it is not running. */
  currentUntilMs = Number.NEGATIVE_INFINITY
  /** Its state was brought up to the group's offsets at least once: it can answer queries. */
  complete = false

  constructor(options: StreamTaskOptions) {
    this.#options = options
    this.subTopology = options.subTopology
    this.partition = options.partition
    this.id = `${options.subTopology.id}_${options.partition}`
    this.state = new TaskState(this.id, options.directory, options.bootId, options.makeEngine)
    this.#processor = this.#makeProcessor()
    this.#expiry = this.#makeExpiry(this.#processor.clock)
  }

  get processor(): TaskProcessor {
    return this.#processor
  }

  get inputs(): { topic: string; partition: number; offset: number }[] {
    return [...this.#processor.inputs].map(([topic, offset]) => ({ topic, partition: this.partition, offset }))
  }

  async open(): Promise<void> {
    await this.state.open()
  }

  /** After a failed write, or damage: nothing is believed until it was read and restored again. */
  async reopen(): Promise<void> {
    this.#distrust()
    await this.state.reopen()
  }

  /** Forgets the local state: it is to be restored from the beginning of its changelogs. */
  async rebuild(): Promise<void> {
    await this.state.rebuild()
    this.#distrust()
  }

  /** Begins at what is committed, with no object kept. */
  async start(inputs: ReadonlyMap<string, number>, clock: string, nowMs: number): Promise<void> {
    await this.#processor.reset(inputs, clock)
    this.#committedClock.restore(clock)
    this.#unpersisted = NO_CHANGES
    this.#expiry = this.#makeExpiry(this.#processor.clock)
    this.lastRecordAtMs = nowMs
    this.stale = false
    this.complete = true
  }

  /** What was processed since the last commit counts for nothing; to be validated and started again. */
  rollBack(knownUntilMs: number): void {
    this.#processor.clear()
    this.stale = true
    this.suspend(knownUntilMs)
  }

  /** From now on it is kept up with its changelogs and processes nothing. */
  standBy(): void {
    this.#processor.clear()
    this.#unpersisted = NO_CHANGES
    this.#expiry = this.#makeExpiry(this.#committedClock)
    this.stale = true
    this.status = 'STANDBY'
  }

  /** Not to be processed before it was validated again; `knownUntilMs`: when it was last sure to be current. */
  suspend(knownUntilMs: number): void {
    if (this.status !== 'RUNNING') return
    this.status = 'RESTORING'
    this.currentUntilMs = knownUntilMs
  }

  /** The transaction is committed: queries see it from now on, also before the engine has it. */
  committed({ changes, progress }: FrozenTask): void {
    this.#committedClock.restore(progress.clock)
    this.#unpersisted = changes
  }

  async persist({ changes, progress }: FrozenTask, positions: ReadonlyMap<string, number>): Promise<void> {
    await this.state.persist({ changes, positions, progress })
    this.#unpersisted = NO_CHANGES
    for (const written of changes.values()) this.#changed += written.length
    this.#processor.persisted()
  }

  /**
   * Lets go of what is over; to be called after its commits, before the next one.
   * @returns how many windows were dropped
   */
  expire(): Promise<number> {
    const changed = this.#changed
    this.#changed = 0
    return this.#expiry.run(changed)
  }

  /**
   * The same for a standby, to be called between two pieces of its changelogs: nobody writes there that windows are gone.
   * @param changed entries that the last piece brought
   */
  async expireStandby(changed: number): Promise<number> {
    const { progress } = this.state
    if (this.status !== 'STANDBY' || progress === undefined) return 0
    this.#committedClock.restore(progress.clock)
    return this.#expiry.dropWindows(changed)
  }

  /** What its stores hold, for one query: what is committed, or also what it has processed since. */
  view(isolation: Isolation = 'committed'): TaskView {
    const { engine } = this.state
    const { clock, graph } = this.#processor
    const reads =
      isolation === 'latest' && this.status === 'RUNNING'
        ? new LatestReads(engine, clock, graph.stores)
        : new CommittedReads(engine, () => {
            if (this.status === 'STANDBY') this.#committedClock.restore(this.state.progress?.clock ?? '{}')
            const { streamTimeMs, closingClockMs } = this.#committedClock
            return { streamTimeMs, closingClockMs, unpersisted: this.#unpersisted }
          })
    return new TaskView({ taskId: this.id, partition: this.partition, reads })
  }

  async close(): Promise<void> {
    const sinceMs = this.status === 'RUNNING' ? 0 : performance.now() - this.currentUntilMs
    this.status = 'CLOSED'
    this.#processor.clear()
    await this.state.close(Date.now() - sinceMs)
  }

  #makeExpiry(clock: TaskClock): Expiry {
    return new Expiry({ clock, stores: this.#processor.graph.stores, state: this.state })
  }

  #distrust(): void {
    this.#processor.clear()
    this.#unpersisted = NO_CHANGES
    this.complete = false
    this.currentUntilMs = Number.NEGATIVE_INFINITY
    this.stale = true
  }

  #makeProcessor(): TaskProcessor {
    const { subTopology, partition, budget, output, handlers = {} } = this.#options
    return new TaskProcessor({ subTopology, partition, engine: this.state.engine, budget, output, handlers })
  }
}
