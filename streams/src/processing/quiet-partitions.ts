import type { Fetcher } from '../kafka/fetcher.js'
import type { StreamTask } from './stream-task.js'

const LOOK_EVERY_MS = 100

/**
 * Lets windows close although no record comes. A partition counts as quiet for the time since its last record, but only
 * while fetches keep answering that there is nothing more: position = last stable offset = high watermark. So a broker
 * that is away, or a transaction that is open, closes nothing.
 */
export class QuietPartitions {
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(private readonly fetcher: Pick<Fetcher, 'answered'>) {}

  /** Whether quiet time has brought a window of one of these tasks to its end; looks a few times a second. */
  dueAmong(tasks: readonly StreamTask[], nowMs: number): boolean {
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return false
    this.#lookedAtMs = nowMs
    return tasks.some((task) => this.#quietMs(task) >= task.processor.quietUntilDueMs)
  }

  /**
   * Moves the task's closing clock on if a window is due.
   * @returns whether one is
   */
  advance(task: StreamTask): boolean {
    const quietMs = this.#quietMs(task)
    return quietMs >= task.processor.quietUntilDueMs && task.processor.quietFor(quietMs)
  }

  #quietMs({ inputs, lastRecordAtMs }: StreamTask): number {
    const answers = inputs.map(({ topic, partition, offset }) => {
      const answered = this.fetcher.answered(topic, partition)
      const through =
        answered !== undefined &&
        answered.position === offset &&
        answered.lastStableOffset === offset &&
        answered.highWatermark === offset
      return through ? answered.atMs : Number.NEGATIVE_INFINITY
    })
    return Math.min(...answers) - lastRecordAtMs
  }
}
