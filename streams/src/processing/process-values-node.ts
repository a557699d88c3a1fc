import type { KeyValueStore } from '../state/key-value-store.js'
import type { NodeOf } from '../topology/nodes.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'

/** One state per key, which decides what becomes of each record as it comes. Nothing is left for commits to announce. */
export class ProcessValuesNode implements StatefulNode {
  readonly nextAnnouncementMs = Number.POSITIVE_INFINITY
  readonly earliestDueMs = Number.POSITIVE_INFINITY
  /** Of the record that is processed: one function hands on for all of them. */
  #key: unknown

  constructor(
    private readonly spec: NodeOf<'process-values'>,
    readonly store: KeyValueStore<unknown, unknown>,
    private readonly context: NodeContext,
    private readonly forward: Forward,
  ) {}

  process(key: unknown, value: unknown): void {
    const entry = this.store.entry(key)
    const state = entry.value ?? this.spec.initializer(key)
    this.#key = key
    entry.value = this.spec.processor(state, value, this.context.record, this.#forwardValue)
    this.store.changed(entry)
  }

  readonly #forwardValue = (value: unknown): void => this.forward(this.#key, value)

  flush(): void {
    // What it had to say was said record by record.
  }

  reopen(): Promise<void> {
    return Promise.resolve()
  }

  latestDueUpTo(): undefined {
    return undefined
  }
}
