import { allDone } from '../all-done.js'
import { ChangelogReader } from '../changelog/changelog-reader.js'
import type { RestoreProgress } from '../changelog/restore-progress.js'
import {
  LOCAL_STATE_NOT_USED,
  prepareStandbys,
  validateTasks,
  type ValidateContext,
  type ValidatedTask,
} from '../changelog/validate.js'
import { messageOf, StreamsError } from '../errors.js'
import { failpoint } from '../failpoints.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { AssignedMember } from '../membership/group-metadata.js'
import type { StreamsMetrics } from '../metrics.js'
import { StreamTask } from '../processing/stream-task.js'
import type { ErrorHandlers } from '../processing/error-handlers.js'
import type { TaskOutput } from '../processing/task.js'
import type { EngineFactory } from '../state/engine.js'
import type { CacheBudget } from '../state/cache-budget.js'
import type { StateDirectory } from '../state/state-directory.js'
import type { TaskPlan } from './topics.js'
import type { Topology } from '../topology/topology.js'

export interface TaskManagerOptions {
  topology: Topology
  applicationId: string
  client: KafkaClient
  admin: KafkaAdmin
  log: KafkaLog
  metrics: StreamsMetrics
  /** Told how restores go on. */
  restores: RestoreProgress
  directory: StateDirectory
  makeEngine: EngineFactory
  /** Changelog records up to which the leader gives a task to who has still to replay them. */
  acceptableRecoveryLag: number
  /** State of tasks that are not ours any more is removed after so long. */
  stateCleanupDelayMs: number
  cache: CacheBudget
  output: TaskOutput
  handlers: ErrorHandlers
  commitStart?: ValidateContext['commitStart']
  /** A task is complete: it may be processed from its inputs' offsets on. */
  onRunning(task: StreamTask): void
  /** Something that runs beside the loop has failed. */
  onFailure(error: unknown): void
  /** Work beside the loop has ended: there may be something to do. */
  wake(): void
}

/** What a member of the group is to do. */
export type Role = Pick<AssignedMember, 'active' | 'standby' | 'warmup'>

/** Between two tries to keep standbys up. */
const STANDBY_RETRY_MS = 1_000

const TOUCH_EVERY_MS = 3_600_000
/** A standby that was current so lately is kept up. */
const CURRENT_WITHIN_MS = 60_000

export const NO_TASKS: Role = { active: [], standby: [], warmup: [] }

/**
 * The tasks of an instance: opens and closes their state, restores those it is to process beside those that run, and
 * keeps its standbys warm. A task keeps its open state when its role changes, so that a standby takes over by replaying
 * what it lacks, which is next to nothing.
 */
export class TaskManager {
  readonly #options: TaskManagerOptions
  readonly #reader: ChangelogReader
  readonly #tasks = new Map<string, StreamTask>()
  /** How far the state on disk of tasks that are not open has got. */
  readonly #stored = new Map<string, number>()
  #role: Role = NO_TASKS
  #touchAtMs = 0
  #cleanAtMs = 0
  #standbyRetryAtMs = Number.NEGATIVE_INFINITY
  #plan: ReadonlyMap<string, TaskPlan> = new Map()
  /** What runs beside the loop, by its kind. */
  readonly #works = new Map<string, { abort: AbortController; done: Promise<void> }>()

  constructor(options: TaskManagerOptions) {
    this.#options = options
    this.#reader = new ChangelogReader(options.client, {
      log: options.log,
      restores: options.restores,
      onStandbyWritten: async (taskId, changes) => {
        // At least once, records may tell of a time that no offsets were ever committed for: what it would let go may
        // be written to once more. Such a standby lets windows go when it has taken over.
        if (options.commitStart !== undefined) return
        const expired = await this.#tasks.get(taskId)?.expireStandby(changes)
        options.metrics.expired.inc(expired ?? 0)
      },
      onStandbyFailure: (taskId, error) => this.#giveUpStandby(taskId, error),
    })
  }

  get all(): ReadonlyMap<string, StreamTask> {
    return this.#tasks
  }

  running(): StreamTask[] {
    return [...this.#tasks.values()].filter(({ status }) => status === 'RUNNING')
  }

  /** What the leader is told: what ran here, what was kept warm, and how far the state on this disk is. */
  standing(): { running: string[]; standing: string[]; positions: Record<string, number> } {
    const complete = (ids: readonly string[]) =>
      ids.filter((id) => {
        const task = this.#tasks.get(id)
        return task !== undefined && this.isComplete(task)
      })
    const open = [...this.#tasks.values()].map(({ id, state }) => [id, state.position] as const)
    return {
      running: complete(this.#role.active),
      standing: complete(this.#role.standby),
      positions: Object.fromEntries([...this.#stored, ...open]),
    }
  }

  /** Opens the state that lies on disk, so that it is known how current it is before tasks are handed out. */
  async openStored(plan: readonly TaskPlan[]): Promise<void> {
    this.#plan = new Map(plan.map((task) => [task.id, task]))
    const stored = await this.#options.directory.storedTasks()
    const ours = stored.filter((id) => this.#plan.has(id) && !this.#tasks.has(id))
    await allDone(ours.map((id) => this.#open(id)))
  }

  /** Nothing is processed any more before it was validated again; standbys are kept up. `knownUntilMs`: see StreamTask. */
  suspend(knownUntilMs: number): void {
    for (const task of this.#tasks.values()) task.suspend(knownUntilMs)
  }

  /**
   * Takes on what the leader has decided: tasks that are not ours any more are closed, new ones are opened, and those
   * whose role changed are halted. `takeUp()` then sets them to work. May be repeated after a part of it has failed.
   */
  async assign(role: Role): Promise<void> {
    await this.halt()
    const standby = new Set(role.standby)
    for (const task of this.#tasks.values()) {
      if (task.status === 'STANDBY' && !standby.has(task.id)) {
        this.#suspendStandby(task)
        await this.#reader.forget(task.id)
      }
    }
    const wanted = new Set([...role.active, ...role.standby])
    await allDone([...this.#tasks.values()].filter(({ id }) => !wanted.has(id)).map((task) => this.#close(task)))
    await failpoint('rebalance.tasks-closed')
    await allDone([...wanted].filter((id) => !this.#tasks.has(id)).map((id) => this.#open(id)))
    await failpoint('rebalance.tasks-opened')
    this.#role = role
    this.#countTasks()
  }

  /** Whether every task that is to be processed here is. */
  get allRun(): boolean {
    return this.#role.active.every((id) => this.#tasks.get(id)?.status === 'RUNNING')
  }

  /** Whether the leader waits for standbys of this instance, and all of them could take over by now. */
  get isWarm(): boolean {
    const { warmup } = this.#role
    const isReady = (id: string) => {
      const lag = this.#follows(id) && this.#reader.currentAtMs(id) > 0 ? this.#reader.lagOf(id) : undefined
      return lag !== undefined && lag <= this.#options.acceptableRecoveryLag
    }
    return warmup.length > 0 && warmup.every(isReady)
  }

  /** Whether a task's state was brought up to the group's offsets at least once: then it can answer queries. */
  isComplete(task: StreamTask): boolean {
    return !task.state.broken && (task.complete || this.currentAtMs(task) > 0)
  }

  /** performance.now() at which the state of a task that is not running was last surely current; -Infinity if never. */
  currentAtMs({ id, status, currentUntilMs }: StreamTask): number {
    return status === 'STANDBY' ? Math.max(currentUntilMs, this.#reader.currentAtMs(id)) : currentUntilMs
  }

  /** Changelog records that each standby has still to replay, where that is known. */
  *standbyLag(): Iterable<{ task: string; records: number }> {
    for (const { id, status } of this.#tasks.values()) {
      const records = status === 'STANDBY' ? this.#reader.lagOf(id) : undefined
      if (records !== undefined) yield { task: id, records }
    }
  }

  /** Sets to work whatever is not yet, in the background: restores what is to be processed and follows standbys. */
  takeUp(): void {
    this.#giveUpDamaged()
    const waiting = (ids: readonly string[], status: StreamTask['status']) =>
      [...this.#tasks.values()].filter((task) => ids.includes(task.id) && task.status !== status)
    this.#begin('restore', waiting(this.#role.active, 'RUNNING'), (tasks, signal) => this.#restore(tasks, signal))
    if (performance.now() < this.#standbyRetryAtMs) return
    this.#begin('stand by', waiting(this.#role.standby, 'STANDBY'), (tasks, signal) => this.#standBy(tasks, signal))
  }

  /** At most one work of a kind at a time: what comes to wait meanwhile is taken up with the next. */
  #begin(
    kind: string,
    tasks: readonly StreamTask[],
    work: (tasks: readonly StreamTask[], signal: AbortSignal) => Promise<void>,
  ): void {
    if (tasks.length === 0 || this.#works.has(kind)) return
    const abort = new AbortController()
    const done = work(tasks, abort.signal)
      .catch(this.#options.onFailure)
      .finally(() => {
        this.#works.delete(kind)
        this.#options.wake()
      })
    this.#works.set(kind, { abort, done })
  }

  /**
   * Once an hour, while no commit is under way: tasks that run and standbys that are kept up are current, however long
   * nothing has changed in them.
   */
  async touch(nowMs: number): Promise<void> {
    if (nowMs < this.#touchAtMs) return
    this.#touchAtMs = nowMs + TOUCH_EVERY_MS
    for (const task of this.#tasks.values()) {
      if (task.status === 'RUNNING') await task.state.touch()
      else if (this.#follows(task.id) && this.currentAtMs(task) > nowMs - CURRENT_WITHIN_MS)
        await this.#reader.touch(task.state)
    }
  }

  /** Now and then: removes what lies on disk of tasks that this instance has had nothing to do with for long. */
  async cleanUp(nowMs: number): Promise<void> {
    if (nowMs < this.#cleanAtMs) return
    const { directory, log, stateCleanupDelayMs } = this.#options
    this.#cleanAtMs = nowMs + Math.min(stateCleanupDelayMs, TOUCH_EVERY_MS)
    try {
      const tasks = await directory.removeObsolete(new Set(this.#tasks.keys()), stateCleanupDelayMs)
      for (const id of tasks) this.#stored.delete(id)
      if (tasks.length > 0) log.info({ tasks }, 'removed the state of tasks that have long been elsewhere')
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'could not remove the state of tasks that have long been elsewhere')
    }
  }

  /** State that was found damaged, by whoever read it, is not used any more: its task is rolled back and restored. */
  #giveUpDamaged(): void {
    for (const { id, state, status } of this.#tasks.values()) {
      const { damage } = state.engine
      if (damage === undefined || (status !== 'RUNNING' && status !== 'STANDBY')) continue
      const error = new StreamsError('STATE_DAMAGED', `the state of task ${id} is damaged (${damage})`, { task: id })
      if (status === 'RUNNING') throw error
      this.#giveUpStandby(id, error)
      void this.#reader.forget(id)
    }
  }

  /** Stops what takeUp() has begun; standbys that are being followed go on. */
  async halt(): Promise<void> {
    this.interrupt()
    await Promise.all([...this.#works.values()].map(({ done }) => done))
  }

  /** Aborts what takeUp() has begun without waiting for it. */
  interrupt(): void {
    for (const { abort } of this.#works.values()) abort.abort()
  }

  /** What was processed since the last commit counts for nothing: every task is to be validated again. */
  rollBack(knownUntilMs: number): void {
    for (const task of this.#tasks.values()) if (task.status !== 'STANDBY') task.rollBack(knownUntilMs)
    this.#countTasks()
  }

  async close(): Promise<void> {
    await this.halt()
    for (const task of this.#tasks.values()) if (task.status === 'STANDBY') this.#suspendStandby(task)
    await this.#reader.close()
    for (const task of this.#tasks.values()) {
      await task.close().catch((error: unknown) => {
        this.#options.log.error(
          { task: task.id, reason: messageOf(error) },
          'could not close the state of a task cleanly',
        )
      })
    }
  }

  /** Those that ran until now need a look only, and are through at once; each of the others starts when it is restored. */
  async #restore(tasks: readonly StreamTask[], signal: AbortSignal): Promise<void> {
    if (tasks.length === 0) return
    const { log, metrics } = this.#options
    const startedAtMs = performance.now()
    const fresh = tasks.some(({ status }) => status !== 'RESTORING')
    const ids: string[] = []
    let records = 0
    await validateTasks(this.#context, tasks, signal, async (validated) => {
      ids.push(validated.task.id)
      records += validated.applied
      metrics.restored.inc(validated.applied)
      await this.#start(validated)
    })
    const ms = Math.round(performance.now() - startedAtMs)
    if (ids.length > 0 && (fresh || records > 0)) log.info({ tasks: ids, records, ms }, 'state is complete')
  }

  /** A task keeps its live objects only if nothing was replayed and its offsets are what it thinks they are. */
  async #start({ task, inputs, clock, applied }: ValidatedTask): Promise<void> {
    const untouched =
      !task.stale &&
      applied === 0 &&
      task.processor.inputs.size === inputs.size &&
      [...inputs].every(([topic, offset]) => task.processor.inputs.get(topic) === offset)
    if (!untouched) await task.start(inputs, clock, performance.now())
    task.status = 'RUNNING'
    this.#countTasks()
    this.#options.onRunning(task)
  }

  /** What fails here is tried again later: nothing that is processed depends on a standby. */
  async #standBy(tasks: readonly StreamTask[], signal: AbortSignal): Promise<void> {
    try {
      const prepared = await prepareStandbys(this.#context, tasks)
      if (signal.aborted) return
      for (const [task, partitions] of prepared) {
        task.standBy()
        this.#reader.follow(partitions)
      }
      this.#countTasks()
    } catch (error) {
      this.#standbyFailed(error)
    }
  }

  #giveUpStandby(id: string, error: unknown): void {
    const task = this.#tasks.get(id)
    if (task?.status === 'STANDBY') this.#suspendStandby(task)
    this.#standbyFailed(error)
  }

  #standbyFailed(error: unknown): void {
    const isFatal = error instanceof StreamsError && error.code !== 'STATE_DAMAGED'
    if (isFatal) return this.#options.onFailure(error)
    this.#standbyRetryAtMs = performance.now() + STANDBY_RETRY_MS
    this.#options.log.warn({ reason: messageOf(error) }, 'a standby cannot be kept up, trying again')
  }

  #follows(id: string): boolean {
    return this.#tasks.get(id)?.status === 'STANDBY'
  }

  #suspendStandby(task: StreamTask): void {
    task.currentUntilMs = this.currentAtMs(task)
    task.complete ||= task.currentUntilMs > 0
    task.status = 'CREATED'
  }

  get #context(): ValidateContext {
    const { client, admin, applicationId, log, commitStart } = this.#options
    const reader = this.#reader
    return { client, admin, applicationId, groupId: applicationId, log, reader, ...(commitStart && { commitStart }) }
  }

  async #open(id: string): Promise<void> {
    const { topology, directory, makeEngine, cache, output, handlers } = this.#options
    const { subTopologyId, partition } = this.#plan.get(id)!
    const task = new StreamTask({
      subTopology: topology.subTopologies[subTopologyId]!,
      partition,
      directory: directory.taskDirectory(id),
      bootId: directory.bootId,
      makeEngine,
      budget: cache,
      output,
      handlers,
    })
    await task.open()
    const { dropped } = task.state
    if (dropped !== undefined) this.#options.log.warn({ task: id, reason: dropped }, LOCAL_STATE_NOT_USED)
    this.#tasks.set(id, task)
    this.#stored.delete(id)
  }

  async #close(task: StreamTask): Promise<void> {
    this.#tasks.delete(task.id)
    if (task.state.position > 0) this.#stored.set(task.id, task.state.position)
    await task.close()
  }

  #countTasks(): void {
    const { tasks } = this.#options.metrics
    tasks.reset()
    for (const { status } of this.#tasks.values()) tasks.inc({ state: status })
  }
}
