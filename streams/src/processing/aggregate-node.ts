import type { KeyValueEntry, KeyValueStore } from '../state/key-value-store.js'
import type { NodeOf } from '../topology/nodes.js'
import { EntryTraces } from './entry-traces.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'

/** One state per key; announced once per commit for the keys that changed. */
export class AggregateNode implements StatefulNode {
  readonly nextAnnouncementMs = Number.POSITIVE_INFINITY
  readonly earliestDueMs = Number.POSITIVE_INFINITY
  readonly #traces = new EntryTraces<KeyValueEntry<unknown, unknown>>()

  constructor(
    private readonly spec: NodeOf<'aggregate'>,
    readonly store: KeyValueStore<unknown, unknown>,
    private readonly context: NodeContext,
    private readonly forward: Forward,
  ) {}

  process(key: unknown, value: unknown): void {
    const entry = this.store.entry(key)
    const state = entry.value ?? this.spec.initializer(key)
    entry.value = this.spec.aggregator(state, value, this.context.record)
    this.store.changed(entry)
    this.#traces.changed(entry, this.context.trace)
  }

  flush(): void {
    for (const entry of this.store.dirty) {
      this.context.announcing = entry.key
      this.context.trace = this.#traces.take(entry)
      this.forward(entry.key, entry.value)
    }
  }

  reopen(): Promise<void> {
    this.#traces.clear()
    return Promise.resolve()
  }

  latestDueUpTo(): undefined {
    return undefined
  }
}
