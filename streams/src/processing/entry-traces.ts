import { NO_TRACE, type TraceHeaders } from '../kafka/trace-context.js'

/**
 * The trace that changed each entry last, until the entry is announced. Holds nothing, and costs a comparison a record,
 * while no record carries a trace.
 */
export class EntryTraces<Entry> {
  readonly #traces = new Map<Entry, TraceHeaders>()

  changed(entry: Entry, trace: TraceHeaders): void {
    if (trace !== NO_TRACE) this.#traces.set(entry, trace)
    else if (this.#traces.size > 0) this.#traces.delete(entry)
  }

  /** What the announcement of the entry carries. */
  take(entry: Entry): TraceHeaders {
    if (this.#traces.size === 0) return NO_TRACE
    const trace = this.#traces.get(entry) ?? NO_TRACE
    this.#traces.delete(entry)
    return trace
  }

  clear(): void {
    this.#traces.clear()
  }
}
