/** Windows that were not announced closed yet, by the moment at which they are due. */
export class OpenWindows<K> {
  readonly #byDue = new Map<number, { key: K; startMs: number }[]>()
  #earliestDueMs = Number.POSITIVE_INFINITY

  /** The moment the next window is due; infinity while none is open. */
  get earliestDueMs(): number {
    return this.#earliestDueMs
  }

  add(key: K, startMs: number, dueMs: number): void {
    const due = this.#byDue.get(dueMs)
    if (due === undefined) this.#byDue.set(dueMs, [{ key, startMs }])
    else due.push({ key, startMs })
    if (dueMs < this.#earliestDueMs) this.#earliestDueMs = dueMs
  }

  /** The last moment up to `timestampMs` at which a window is due. */
  latestDueUpTo(timestampMs: number): number | undefined {
    if (timestampMs < this.#earliestDueMs) return undefined
    return Math.max(...[...this.#byDue.keys()].filter((dueMs) => dueMs <= timestampMs))
  }

  /** Takes out all that are due, ascending. */
  takeDue(closingClockMs: number): { key: K; startMs: number }[] {
    if (closingClockMs < this.#earliestDueMs) return []
    const dues = [...this.#byDue.keys()].filter((dueMs) => dueMs <= closingClockMs).sort((a, b) => a - b)
    const taken = dues.flatMap((dueMs) => this.#byDue.get(dueMs)!)
    for (const dueMs of dues) this.#byDue.delete(dueMs)
    this.#earliestDueMs = Math.min(Number.POSITIVE_INFINITY, ...this.#byDue.keys())
    return taken
  }

  clear(): void {
    this.#byDue.clear()
    this.#earliestDueMs = Number.POSITIVE_INFINITY
  }
}
