/**
 * The two clocks of a task. Stream time is the newest event time seen and decides lateness and retention; it follows
 * records alone. The closing clock decides when a window is announced closed: it follows stream time, and while a
 * partition is quiet it may go on by the time that has passed, but only onto moments at which an open window is due.
 * Both are committed with the offsets, so that every owner of the task takes the same decisions.
 */
export class TaskClock {
  streamTimeMs = -1
  closingClockMs = -1

  /** A record of this event time was read. */
  observe(timestampMs: number): void {
    if (timestampMs > this.streamTimeMs) this.streamTimeMs = timestampMs
  }

  /** Before windows are closed: the closing clock is never behind stream time. */
  catchUp(): void {
    if (this.streamTimeMs > this.closingClockMs) this.closingClockMs = this.streamTimeMs
  }

  /** A quiet partition: an open window is due at this moment, which has passed. */
  closeUpTo(dueMs: number): void {
    if (dueMs > this.closingClockMs) this.closingClockMs = dueMs
  }

  /** What is committed with the offsets. */
  toMetadata(): string {
    return JSON.stringify({ streamTimeMs: this.streamTimeMs, closingClockMs: this.closingClockMs })
  }

  /** Takes over what was committed; metadata of another kind (an offset set by a tool) leaves the clocks at -1. */
  restore(metadata: string): void {
    let committed: { streamTimeMs?: unknown; closingClockMs?: unknown } = {}
    try {
      committed = (JSON.parse(metadata) as object | null) ?? {}
    } catch {
      // Not ours: an offset that somebody set by hand carries no clocks.
    }
    this.streamTimeMs = asTime(committed.streamTimeMs)
    this.closingClockMs = asTime(committed.closingClockMs)
  }
}

function asTime(value: unknown): number {
  return Number.isSafeInteger(value) ? (value as number) : -1
}
