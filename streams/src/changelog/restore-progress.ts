/** How far the restore of one task is. */
export interface TaskRestore {
  readonly task: string
  /** The most changelog records that are still to be replayed. */
  readonly remaining: number
  /** Since its restore began. */
  readonly recordsPerSecond: number
  /** Infinity before the first chunk. */
  readonly etaSeconds: number
}

/**
 * Told when a task's restore begins, after each piece of changelog that was applied, and when it ends: `completed`, or
 * `suspended` by a rebalance or a failure, after which it begins again from where it was.
 */
export interface RestoreEvent extends TaskRestore {
  readonly kind: 'started' | 'progress' | 'completed' | 'suspended'
  /** Changelog records applied since it began. */
  readonly restored: number
}

/** Called in the middle of things: it must not throw. */
export type RestoreListener = (event: RestoreEvent) => void

interface Running {
  readonly beganAtMs: number
  readonly first: number
  remaining: number
  applied: number
}

/**
 * The restores that are under way, per task: told by the loop that replays, once per chunk, and asked by whoever reads
 * the metrics. What is left counts offsets, and control or compacted-away ones are passed without a record, so the time
 * left follows the offsets and the rate the records.
 */
export class RestoreProgress {
  readonly #running = new Map<string, Running>()
  readonly #listeners: RestoreListener[] = []

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Called in the middle of things: it must not throw. */
  listen(listener: RestoreListener): void {
    this.#listeners.push(listener)
  }

  /**
   * A restore begins, or has come further.
   * @param applied records replayed by this report's chunk
   */
  report(task: string, { remaining, applied }: { remaining: number; applied: number }): void {
    const known = this.#running.get(task)
    const running = known ?? { beganAtMs: this.now(), first: remaining, remaining, applied: 0 }
    this.#running.set(task, running)
    running.remaining = remaining
    running.applied += applied
    this.#tell(known === undefined ? 'started' : 'progress', task, running)
  }

  /** The task is complete, or is not restored any more. */
  done(task: string): void {
    const running = this.#running.get(task)
    if (running === undefined) return
    this.#running.delete(task)
    this.#tell(running.remaining === 0 ? 'completed' : 'suspended', task, running)
  }

  list(): TaskRestore[] {
    return [...this.#running].map(([task, running]) => this.#describe(task, running))
  }

  #describe(task: string, { beganAtMs, first, remaining, applied }: Running): TaskRestore {
    const seconds = (this.now() - beganAtMs) / 1000
    const recordsPerSecond = seconds > 0 ? applied / seconds : 0
    const passed = first - remaining
    const etaSeconds = passed === 0 ? Infinity : (remaining / passed) * seconds
    return { task, remaining, recordsPerSecond, etaSeconds }
  }

  #tell(kind: RestoreEvent['kind'], task: string, running: Running): void {
    if (this.#listeners.length === 0) return
    const event = { kind, restored: running.applied, ...this.#describe(task, running) }
    for (const listener of this.#listeners) listener(event)
  }
}
