import type { WindowStore, WindowStoreEntry } from '../state/window-store.js'
import type { Announcement, NodeOf } from '../topology/nodes.js'
import { EntryTraces } from './entry-traces.js'
import { OpenWindows } from './open-windows.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'

type Entry = WindowStoreEntry<unknown, unknown>

/** Windows found open that one commit announces once more: all of a large store at once would fill memory, and fail again. */
const REOPENED_AT_A_TIME = 10_000

/**
 * One state per key and window. Lateness decides when a window is announced, never what it holds: a record within the
 * grace enters its window even after that was announced closed, and a correction with the next revision follows.
 */
export class WindowedAggregateNode implements StatefulNode {
  readonly #open = new OpenWindows<unknown>()
  /** Open windows that changed since they were last announced. */
  readonly #growing = new Set<Entry>()
  /** Windows that the last owner left open. Whether it announced their last state is not known: they are once more. */
  #reopened: { readonly key: unknown; readonly startMs: number }[] = []
  readonly #traces = new EntryTraces<Entry>()
  nextAnnouncementMs = Number.POSITIVE_INFINITY

  constructor(
    private readonly spec: NodeOf<'windowed-aggregate'>,
    readonly store: WindowStore<unknown, unknown>,
    private readonly context: NodeContext,
    private readonly forward: Forward,
  ) {}

  get earliestDueMs(): number {
    return this.#open.earliestDueMs
  }

  latestDueUpTo(timestampMs: number): number | undefined {
    return this.#open.latestDueUpTo(timestampMs)
  }

  process(key: unknown, value: unknown): void {
    const { windows, initializer, aggregator } = this.spec
    const { record, clock } = this.context
    const startMs = windows.startOf(record.timestampMs)
    const tooOld = clock.streamTimeMs - windows.graceMs
    if (record.timestampMs < tooOld && windows.endOf(startMs) <= tooOld) {
      this.context.onLate(this.store.spec.name)
      return
    }
    const entry = this.store.entry(key, startMs)
    if (entry.value === undefined) {
      const window = { startMs, endMs: windows.endOf(startMs) }
      entry.value = { startMs, value: initializer(key, window), closed: false, revision: -1 }
      this.#expect(key, startMs, window.endMs)
    }
    entry.value.value = aggregator(entry.value.value, value, record)
    this.store.changed(entry)
    if (this.spec.emit !== undefined) this.#traces.changed(entry, this.context.trace)
  }

  flush(nowMs: number): void {
    const { emit } = this.spec
    if (emit === undefined) return
    const closedNow = this.#close()
    for (const entry of this.store.dirty) {
      if (!entry.value!.closed) this.#growing.add(entry)
      else if (!closedNow.has(entry)) this.#correct(entry)
    }
    this.#announceGrowing(nowMs, emit.openAtMostEveryMs)
    this.#announceReopened(nowMs)
  }

  async reopen(): Promise<void> {
    this.#open.clear()
    this.#growing.clear()
    this.#reopened = []
    this.#traces.clear()
    this.nextAnnouncementMs = Number.POSITIVE_INFINITY
    const { emit, windows } = this.spec
    if (emit === undefined) return
    const fromMs = this.context.clock.closingClockMs - emit.closedAfterMs - windows.maxSizeMs
    for await (const { key, startMs, window } of this.store.windowsFrom(fromMs)) {
      if (window.closed) continue
      this.#expect(key, startMs, windows.endOf(startMs))
      this.#reopened.push({ key, startMs })
      this.nextAnnouncementMs = Number.NEGATIVE_INFINITY
    }
  }

  #expect(key: unknown, startMs: number, endMs: number): void {
    if (this.spec.emit !== undefined) this.#open.add(key, startMs, endMs + this.spec.emit.closedAfterMs)
  }

  #close(): Set<Entry> {
    const closed = new Set<Entry>()
    for (const { key, startMs } of this.#open.takeDue(this.context.clock.closingClockMs)) {
      const entry = this.store.entry(key, startMs)
      const window = entry.value
      if (window === undefined || window.closed) continue
      window.closed = true
      window.revision = 0
      this.store.changed(entry)
      this.#announce(entry)
      closed.add(entry)
    }
    return closed
  }

  #correct(entry: Entry): void {
    entry.value!.revision++
    this.#announce(entry)
  }

  #announceGrowing(nowMs: number, openAtMostEveryMs: number): void {
    this.nextAnnouncementMs = Number.POSITIVE_INFINITY
    for (const seen of this.#growing) {
      // Evicted and read again since then: the object in the store is the one that grows.
      const entry = this.store.entry(seen.key, seen.startMs)
      const dueMs = entry.announcedAtMs + openAtMostEveryMs
      if (entry.value !== undefined && !entry.value.closed) {
        if (dueMs > nowMs) {
          this.nextAnnouncementMs = Math.min(this.nextAnnouncementMs, dueMs)
          continue
        }
        entry.announcedAtMs = nowMs
        this.#announce(entry, seen)
      }
      this.#growing.delete(seen)
      this.#traces.take(seen)
    }
  }

  #announceReopened(nowMs: number): void {
    for (const { key, startMs } of this.#reopened.splice(0, REOPENED_AT_A_TIME)) {
      const entry = this.store.entry(key, startMs)
      const isAnnounced = entry.announcedAtMs > Number.NEGATIVE_INFINITY
      if (entry.value === undefined || entry.value.closed || isAnnounced) continue
      entry.announcedAtMs = nowMs
      this.#announce(entry)
    }
    if (this.#reopened.length > 0) this.nextAnnouncementMs = Number.NEGATIVE_INFINITY
  }

  /** @param traced the object under which its trace was noted */
  #announce(entry: Entry, traced = entry): void {
    const { key, startMs, value: stored } = entry
    this.context.announcing = key
    this.context.trace = this.#traces.take(traced)
    const window = { startMs, endMs: this.spec.windows.endOf(startMs) }
    const { value, closed, revision } = stored!
    const announcement: Announcement<unknown> = { window, value, closed, revision }
    this.forward(key, announcement)
  }
}
