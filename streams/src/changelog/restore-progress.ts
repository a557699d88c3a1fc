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

  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * A restore begins, or has come further.
   * @param applied records replayed by this report's chunk
   */
  report(task: string, { remaining, applied }: { remaining: number; applied: number }): void {
    let running = this.#running.get(task)
    if (running === undefined) {
      running = { beganAtMs: this.now(), first: remaining, remaining, applied: 0 }
      this.#running.set(task, running)
    }
    running.remaining = remaining
    running.applied += applied
  }

  /** The task is complete, or is not restored any more. */
  done(task: string): void {
    this.#running.delete(task)
  }

  list(): TaskRestore[] {
    return [...this.#running].map(([task, { beganAtMs, first, remaining, applied }]) => {
      const seconds = (this.now() - beganAtMs) / 1000
      const recordsPerSecond = seconds > 0 ? applied / seconds : 0
      return { task, remaining, recordsPerSecond, etaSeconds: remaining * (seconds / (first - remaining)) || 0 }
    })
  }
}
