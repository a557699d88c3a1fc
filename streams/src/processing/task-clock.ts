/**
 * The two clocks of a task. Stream time is the newest event time seen and decides lateness and retention; it follows
 * records alone. The closing clock decides when a window is announced closed: it follows stream time too, but never past
 * the time at which the broker took the record, so that one event from the future closes nothing before its time; and
 * while a partition is quiet it may go on by the time that has passed, but only onto moments at which an open window is
 * due. Both are committed with the offsets, so that every owner of the task takes the same decisions.
 */
export class TaskClock {
  streamTimeMs = -1
  closingClockMs = -1

  /** The newest event time that had come to pass when its record was appended: what quiet time is counted on from. */
  passedMs = -1

  /**
   * A record was read.
   * @param eventMs when it happened
   * @param appendedMs the record's own timestamp: when the broker took it
   */
  observe(eventMs: number, appendedMs: number): void {
    if (eventMs > this.streamTimeMs) this.streamTimeMs = eventMs
    const passedMs = eventMs < appendedMs ? eventMs : appendedMs
    if (passedMs > this.passedMs) this.passedMs = passedMs
  }

  /** Before windows are closed: the closing clock is never behind what has come to pass. */
  catchUp(): void {
    if (this.passedMs > this.closingClockMs) this.closingClockMs = this.passedMs
  }

  /** A quiet partition: an open window is due at this moment, which has passed. */
  closeUpTo(dueMs: number): void {
    if (dueMs > this.closingClockMs) this.closingClockMs = dueMs
  }

  /** What is committed with the offsets. */
  toMetadata(): string {
    const { streamTimeMs, closingClockMs, passedMs } = this
    return JSON.stringify({ streamTimeMs, closingClockMs, passedMs })
  }

  /** Takes over what was committed; metadata of another kind (an offset set by a tool) leaves the clocks at -1. */
  restore(metadata: string): void {
    let committed: { streamTimeMs?: unknown; closingClockMs?: unknown; passedMs?: unknown } = {}
    try {
      committed = (JSON.parse(metadata) as object | null) ?? {}
    } catch {
      // Not ours: an offset that somebody set by hand carries no clocks.
    }
    this.streamTimeMs = asTime(committed.streamTimeMs)
    this.closingClockMs = asTime(committed.closingClockMs)
    this.passedMs = asTime(committed.passedMs ?? Math.min(this.streamTimeMs, this.closingClockMs))
  }
}

function asTime(value: unknown): number {
  return Number.isSafeInteger(value) ? (value as number) : -1
}
