import { keyIdentity } from '../state/key-identity.js'
import type { WindowStore } from '../state/window-store.js'
import type { Announcement, NodeOf } from '../topology/nodes.js'
import { EntryTraces } from './entry-traces.js'
import { OpenWindows } from './open-windows.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'

/**
 * Larger windows merged from smaller ones when their last part is announced closed, and again when a part is corrected.
 * A larger window stands in the store from its closing on; which ones are to be closed follows from the parts.
 */
export class RollUpNode implements StatefulNode {
  readonly nextAnnouncementMs = Number.POSITIVE_INFINITY
  readonly #open = new OpenWindows<unknown>()
  /** Larger windows that wait for their end, so that each is expected once. */
  readonly #expected = new Set<string>()
  /** Larger windows that are closed and have a corrected part. */
  readonly #corrected = new Map<string, { key: unknown; startMs: number }>()
  /** By window, of the part that came last. */
  readonly #traces = new EntryTraces<string>()

  constructor(
    private readonly spec: NodeOf<'roll-up'>,
    readonly store: WindowStore<unknown, unknown>,
    private readonly parts: WindowStore<unknown, unknown>,
    private readonly context: NodeContext,
    private readonly forward: Forward,
  ) {}

  get earliestDueMs(): number {
    return this.#open.earliestDueMs
  }

  latestDueUpTo(timestampMs: number): number | undefined {
    return this.#open.latestDueUpTo(timestampMs)
  }

  /** Takes announcements of the smaller windows. */
  process(key: unknown, announcement: unknown): void {
    const { window, closed } = announcement as Announcement<unknown>
    if (!closed) return
    const startMs = this.spec.windows.startOf(window.startMs)
    const identity = this.#identity(key, startMs)
    if (this.store.entry(key, startMs).value === undefined) this.#expect(key, startMs)
    else this.#corrected.set(identity, { key, startMs })
    this.#traces.changed(identity, this.context.trace)
  }

  flush(): void {
    for (const { key, startMs } of this.#open.takeDue(this.context.clock.closingClockMs)) {
      this.#expected.delete(this.#identity(key, startMs))
      this.#merge(key, startMs)
    }
    for (const { key, startMs } of this.#corrected.values()) this.#merge(key, startMs)
    this.#corrected.clear()
  }

  async reopen(): Promise<void> {
    this.#open.clear()
    this.#expected.clear()
    this.#corrected.clear()
    this.#traces.clear()
    const { windows, closedAfterMs } = this.spec
    const { closingClockMs } = this.context.clock
    const fromMs = closingClockMs - closedAfterMs - windows.maxSizeMs
    for await (const { key, startMs, window } of this.parts.windowsFrom(fromMs)) {
      if (!window.closed) continue
      const larger = windows.startOf(startMs)
      if (windows.endOf(larger) + closedAfterMs > closingClockMs) this.#expect(key, larger)
    }
  }

  #expect(key: unknown, startMs: number): void {
    const identity = this.#identity(key, startMs)
    if (this.#expected.has(identity)) return
    this.#expected.add(identity)
    this.#open.add(key, startMs, this.spec.windows.endOf(startMs) + this.spec.closedAfterMs)
  }

  #identity(key: unknown, startMs: number): string {
    const identity = keyIdentity(key, this.store.spec.key)
    return `${startMs}${typeof identity === 'number' ? '#' : '/'}${identity}`
  }

  #merge(key: unknown, startMs: number): void {
    const { windows, merge } = this.spec
    this.context.announcing = key
    this.context.trace = this.#traces.take(this.#identity(key, startMs))
    const window = { startMs, endMs: windows.endOf(startMs) }
    const entry = this.store.entry(key, startMs)
    const revision = (entry.value?.revision ?? -1) + 1
    const value = merge(this.#partsOf(key, window), key, window)
    entry.value = { startMs, value, closed: true, revision }
    this.store.changed(entry)
    const announcement: Announcement<unknown> = { window, value, closed: true, revision }
    this.forward(key, announcement)
  }

  #partsOf(key: unknown, { startMs, endMs }: { startMs: number; endMs: number }): unknown[] {
    const { partWindows } = this.spec
    const parts: unknown[] = []
    for (let at = startMs; at < endMs; at = partWindows.endOf(at)) {
      const part = this.parts.peek(key, at)
      if (part !== undefined) parts.push(part.value)
    }
    return parts
  }
}
