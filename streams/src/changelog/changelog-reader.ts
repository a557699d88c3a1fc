import { failpoint } from '../failpoints.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { KafkaError } from '../kafka/errors.js'
import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { Fetcher } from '../kafka/fetcher.js'
import type { TaskState } from '../state/task-state.js'
import { readChanges } from './read-changes.js'
import type { RestoreProgress } from './restore-progress.js'

/** One changelog partition, and the state that is made of it. */
export interface ChangelogPartition {
  readonly state: TaskState
  readonly store: string
  readonly topic: string
  readonly partition: number
}

/** A partition that is to be read up to an end. */
export interface RestoreTarget extends ChangelogPartition {
  /** Every offset before this one is to be passed. */
  readonly endOffset: number
}

export interface ChangelogReaderOptions {
  log: KafkaLog
  /** Told how each restore goes on. */
  restores: RestoreProgress
  /** A piece of changelog was written to a standby: so many entries. Nothing else is until this has ended. */
  onStandbyWritten(taskId: string, changes: number): Promise<void>
  /** A standby cannot be kept up: its engine failed, or its changelog no longer has what comes next. */
  onStandbyFailure(taskId: string, error: unknown): void
}

interface Followed extends ChangelogPartition {
  /** Infinity: to be kept up for good. */
  endOffset: number
  /** performance.now() of the last moment of which everything is known to have been replayed; -Infinity before the first. */
  currentAtMs: number
  /** Where the log ended at a later moment: when all before it is decided and replayed, that moment is the last. */
  nextEnd?: { readonly offset: number; readonly atMs: number }
}

interface Restore {
  readonly state: TaskState
  readonly open: Set<Followed>
  restored: number
  readonly resolve: (restored: number) => void
  readonly reject: (error: unknown) => void
}

/** Longer than any transaction lasts by itself: the coordinator ends them after transaction.timeout.ms, 10 s by default. */
export const UNDECIDED_TOLD_EVERY_MS = 30_000
export const UNDECIDED =
  'waiting for the outcome of a transaction: if this goes on, its markers may be lost (kafka-transactions find-hanging)'

/** Of one partition at a time; more at once means fewer values that are overwritten a moment later. */
const FETCH_BYTES = 4 << 20
const BUFFER_BYTES = 32 << 20
/** How often a quiet changelog tells that it is: the finest a standby's staleness can be. */
const NEWS_EVERY_MS = 100

/**
 * The one loop that brings engines up to their changelogs, for all tasks of an instance: reads committed records from each
 * stored position on, keeps the last value per key of a chunk, and writes it in one batch with the new position. A restore
 * ends at an offset; a standby never does, and waits while anything is being restored. Stopping anywhere loses nothing.
 *
 * Chunks of different tasks are decoded while others are being written; those of one task follow one another.
 */
export class ChangelogReader {
  readonly #options: ChangelogReaderOptions
  readonly #fetcher: Fetcher
  readonly #followed = new Map<string, Followed>()
  readonly #restores = new Map<string, Restore>()
  /** By task: the write that is under way. */
  readonly #writing = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(client: KafkaClient, options: ChangelogReaderOptions) {
    this.#options = options
    this.#fetcher = new Fetcher(client, {
      isolation: 'read_committed',
      maxWaitMs: NEWS_EVERY_MS,
      maxBytesPerPartition: FETCH_BYTES,
      maxBufferedBytes: BUFFER_BYTES,
      log: options.log,
    })
  }

  /**
   * Replays a task's changelogs until every target has reached its end.
   * @returns how many records were applied; undefined when `signal` was raised, after which nothing more is written
   * @throws KafkaError or the engine's error
   */
  async restore(state: TaskState, targets: readonly RestoreTarget[], signal: AbortSignal): Promise<number | undefined> {
    const behind = targets.filter((target) => !isThrough(target))
    if (behind.length === 0) return signal.aborted ? undefined : 0
    const stop = () => void this.forget(state.taskId)
    signal.addEventListener('abort', stop)
    const watch = this.#tellUndecided(state.taskId, behind)
    try {
      if (signal.aborted) return undefined
      const restored = await new Promise<number>((resolve, reject) => {
        const open = new Set(behind.map((target) => ({ ...target, currentAtMs: Number.NEGATIVE_INFINITY })))
        const restore = { state, open, restored: 0, resolve, reject }
        this.#restores.set(state.taskId, restore)
        this.#tell(restore, 0)
        this.#add([...open])
      })
      return signal.aborted ? undefined : restored
    } finally {
      clearInterval(watch)
      signal.removeEventListener('abort', stop)
      await this.forget(state.taskId)
    }
  }

  /** A restore that comes no further has read all there is but for a transaction that nobody has decided. */
  #tellUndecided(task: string, targets: readonly RestoreTarget[]): NodeJS.Timeout {
    const positions = () => targets.map((target) => `${nameOf(target)} at ${positionOf(target)} of ${target.endOffset}`)
    let before = positions()
    return setInterval(() => {
      const now = positions()
      const waits = (target: RestoreTarget) => !isThrough(target) && this.#isAnswered(target)
      const waitsFor = now.filter((position, at) => position === before[at] && waits(targets[at]!))
      if (waitsFor.length > 0) this.#options.log.warn({ task, waitsFor }, UNDECIDED)
      before = now
    }, UNDECIDED_TOLD_EVERY_MS)
  }

  /** Whether its broker answers at all. */
  #isAnswered({ topic, partition }: RestoreTarget): boolean {
    const askedAtMs = this.#fetcher.answered(topic, partition)?.atMs ?? Number.NEGATIVE_INFINITY
    return askedAtMs > performance.now() - UNDECIDED_TOLD_EVERY_MS
  }

  /** Keeps a task's state up with its changelogs until `forget()`. */
  follow(partitions: readonly ChangelogPartition[]): void {
    this.#add(
      partitions.map((one) => ({
        ...one,
        endOffset: Number.POSITIVE_INFINITY,
        currentAtMs: Number.NEGATIVE_INFINITY,
      })),
    )
  }

  /** Reads no more for a task; resolves when nothing is being written for it any more. */
  async forget(taskId: string): Promise<void> {
    const gone = [...this.#followed.values()].filter(({ state }) => state.taskId === taskId)
    for (const one of gone) this.#followed.delete(nameOf(one))
    this.#fetcher.unassign(gone)
    const restore = this.#restores.get(taskId)
    this.#restores.delete(taskId)
    this.#options.restores.done(taskId)
    this.#giveWay()
    await this.#writing.get(taskId)
    restore?.resolve(restore.restored)
  }

  /** performance.now() at which the state of a standby was last known to be current; -Infinity before that. */
  currentAtMs(taskId: string): number {
    const mine = [...this.#followed.values()].filter(({ state }) => state.taskId === taskId)
    return mine.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...mine.map(({ currentAtMs }) => currentAtMs))
  }

  /** See TaskState.touch: of a standby, between its writes. */
  async touch(state: TaskState): Promise<void> {
    const { taskId } = state
    await this.#inTurn(taskId, () => state.touch()).catch((error: unknown) => {
      this.#options.onStandbyFailure(taskId, error)
      void this.forget(taskId)
    })
  }

  /**
   * Records of a standby's changelogs that it has still to replay, as of their last fetches. Those of transactions that
   * are not decided count: one that never is shows here. Undefined before all of them have been fetched.
   */
  lagOf(taskId: string): number | undefined {
    let records = 0
    for (const one of this.#followed.values()) {
      if (one.state.taskId !== taskId) continue
      const answered = this.#fetcher.answered(one.topic, one.partition)
      if (answered === undefined) return undefined
      records += Math.max(0, answered.highWatermark - positionOf(one))
    }
    return records
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#fetcher.close()
    await this.#running
    await Promise.all(this.#writing.values())
    for (const { resolve, restored } of this.#restores.values()) resolve(restored)
  }

  #add(partitions: readonly Followed[]): void {
    for (const one of partitions) this.#followed.set(nameOf(one), one)
    this.#fetcher.assign(
      partitions.map((one) => ({ topic: one.topic, partition: one.partition, offset: positionOf(one) })),
    )
    this.#giveWay()
    this.#running ??= this.#run()
  }

  /** Standbys wait while something is being restored: somebody waits for that. */
  #giveWay(): void {
    const busy = [...this.#restores.values()].some(({ open }) => [...open].some((one) => this.#hasMore(one)))
    for (const { topic, partition, endOffset } of this.#followed.values()) {
      if (endOffset !== Number.POSITIVE_INFINITY) continue
      if (busy) this.#fetcher.pause(topic, partition)
      else this.#fetcher.resume(topic, partition)
    }
  }

  /** Whether there is more to replay already: what waits for a transaction to be decided keeps nobody waiting. */
  #hasMore(one: Followed): boolean {
    const answered = this.#fetcher.answered(one.topic, one.partition)
    return answered === undefined || positionOf(one) < Math.min(one.endOffset, answered.lastStableOffset)
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const chunk = await this.#fetcher.poll(1_000)
        const followed = chunk && this.#followed.get(nameOf(chunk))
        if (chunk === undefined || followed === undefined) continue
        await this.#take(followed, chunk)
      } catch (error) {
        const { topic, partition } = error instanceof KafkaError ? error.concerns : {}
        const concerned = [...this.#followed.values()].filter(
          (one) => topic === undefined || (one.topic === topic && one.partition === partition),
        )
        this.#fail(concerned, error)
      }
    }
  }

  /** Decodes a chunk and begins to write it; waits only for the task's own write before. */
  async #take(followed: Followed, chunk: FetchedChunk): Promise<void> {
    const { taskId } = followed.state
    await this.#writing.get(taskId)
    if (this.#followed.get(nameOf(followed)) !== followed || chunk.fetchOffset !== positionOf(followed)) return
    void this.#inTurn(taskId, () => this.#apply(followed, chunk)).catch((error: unknown) =>
      this.#fail([followed], error),
    )
  }

  /** What is written for a task, one thing after the other. */
  #inTurn(taskId: string, write: () => Promise<void>): Promise<void> {
    const written = (this.#writing.get(taskId) ?? Promise.resolve()).then(write)
    const writing = written
      .catch(() => undefined)
      .finally(() => {
        if (this.#writing.get(taskId) === writing) this.#writing.delete(taskId)
      })
    this.#writing.set(taskId, writing)
    return written
  }

  async #apply(followed: Followed, chunk: FetchedChunk): Promise<void> {
    const { state, store } = followed
    const { writes, records, next, progress } = readChanges(chunk)
    if (next > chunk.fetchOffset) await state.replay({ store, changes: writes, position: next, progress })
    noteCurrent(followed, next, { offset: chunk.highWatermark, atMs: chunk.askedAtMs! })
    const restore = this.#restores.get(state.taskId)
    if (restore === undefined) return this.#options.onStandbyWritten(state.taskId, writes.length)
    restore.restored += records
    if (next >= followed.endOffset) restore.open.delete(followed)
    this.#tell(restore, records)
    if (records > 0) await failpoint('task.restoring')
    if (restore.open.size === 0) restore.resolve(restore.restored)
    else this.#giveWay()
  }

  #tell({ state, open }: Restore, applied: number): void {
    const remaining = [...open].reduce((sum, one) => sum + Math.max(0, one.endOffset - positionOf(one)), 0)
    this.#options.restores.report(state.taskId, { remaining, applied })
  }

  #fail(concerned: readonly Followed[], error: unknown): void {
    for (const taskId of new Set(concerned.map(({ state }) => state.taskId))) {
      const restore = this.#restores.get(taskId)
      if (restore !== undefined) restore.reject(error)
      else {
        this.#options.onStandbyFailure(taskId, error)
        // The whole task: what one of its changelogs brings is of no use without the others.
        void this.forget(taskId)
      }
    }
  }
}

/**
 * Whatever was committed at a moment lies before the end that the log had then, though its transaction may not look
 * decided yet. So the end is remembered until the state has passed it: under load some transaction is always open, and
 * the end of this very moment is hardly ever reached.
 */
function noteCurrent(
  followed: Followed,
  position: number,
  end: { readonly offset: number; readonly atMs: number },
): void {
  if (followed.nextEnd !== undefined && position >= followed.nextEnd.offset) {
    followed.currentAtMs = followed.nextEnd.atMs
    delete followed.nextEnd
  }
  if (position >= end.offset) followed.currentAtMs = end.atMs
  else followed.nextEnd ??= end
}

function positionOf({ state, store }: ChangelogPartition): number {
  return state.changelog(store)!.position
}

function isThrough(target: RestoreTarget): boolean {
  return positionOf(target) >= target.endOffset
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}-${partition}`
}
