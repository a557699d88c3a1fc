import type { EngineWrite } from '../state/engine.js'
import type { TraceHeaders } from '../kafka/trace-context.js'
import type { Serde } from '../serde.js'
import type { RecordContext } from '../topology/nodes.js'
import type { TaskClock } from './task-clock.js'

/** Hands a record to the next nodes. Values may be live state: who keeps one copies it. */
export type Forward = (key: unknown, value: unknown) => void

/** What a node of a task works with. */
export interface NodeContext {
  readonly clock: TaskClock
  readonly record: RecordContext
  /** Trace of the record that is processed, or of the entry that is announced. */
  trace: TraceHeaders
  /** Key of the entry that is announced, for an error that comes of it. */
  announcing: unknown
  /** A record came later than the grace of its window and was left out. */
  onLate(storeName: string): void
}

/** A store as the commit sees it. */
export interface CommittedStore {
  readonly spec: { readonly name: string; readonly key: Serde<unknown> }
  freeze(): EngineWrite[]
  persisted(): void
  clear(): void
}

/** A node that keeps state and announces it at commits rather than per record. */
export interface StatefulNode {
  readonly store: CommittedStore
  /** Announces what changed since the last flush. Parents are flushed before their children. */
  flush(nowMs: number): void
  /** After the state was restored or dropped: finds its open windows again. */
  reopen(): Promise<void>
  /** Wall clock at which something held back wants to be announced; infinity if nothing is. */
  readonly nextAnnouncementMs: number
  /** The last moment up to `timestampMs` at which one of its windows is due to close. */
  latestDueUpTo(timestampMs: number): number | undefined
  readonly earliestDueMs: number
}
