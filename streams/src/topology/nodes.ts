import type { InputErrorHandler, ProductionErrorHandler } from '../processing/error-handlers.js'
import type { Serde } from '../serde.js'
import type { KeyValueStoreSpec, StoreSpec, WindowStoreSpec } from './stores.js'
import type { Window, Windows } from './windows.js'

/** Where the record that is being processed came from. One object per task, reused: copy what you keep. */
export interface RecordContext {
  topic: string
  partition: number
  offset: number
  /** Event time. */
  timestampMs: number
}

/**
 * What is told of a window: open ones as they grow, closed ones once per revision.
 * `revision` is -1 while the window is open, 0 at the first closed announcement, and one more with each correction.
 */
export interface Announcement<S> {
  readonly window: Window
  readonly value: S
  readonly closed: boolean
  readonly revision: number
}

/** When windows are announced. */
export interface EmitOptions {
  /** An open window is announced at most this often (wall clock); the last state always follows. */
  openAtMostEveryMs: number
  /** A window is announced closed when its partition's closing clock is this far past its end. */
  closedAfterMs: number
}

/** The nodes of a topology as data; what runs them is in processing/. */
export type NodeSpec =
  | {
      readonly kind: 'source'
      readonly topic: string
      readonly key: Serde<unknown>
      readonly value: Serde<unknown>
      readonly timestamp: ((value: unknown) => number) | undefined
      readonly createdAt: ((value: unknown) => number) | undefined
      readonly check: ((value: unknown, key: unknown, appendedMs: number) => string | undefined) | undefined
      readonly deadLetterTopic: string | undefined
      readonly onDeserializationError: InputErrorHandler | undefined
      readonly onProcessingError: InputErrorHandler | undefined
    }
  | { readonly kind: 'filter'; readonly predicate: (value: unknown, key: unknown) => boolean }
  | { readonly kind: 'map-values'; readonly map: (value: unknown, key: unknown) => unknown }
  | { readonly kind: 'flat-map-values'; readonly map: (value: unknown, key: unknown) => Iterable<unknown> }
  | { readonly kind: 'select-key'; readonly select: (value: unknown, key: unknown) => unknown }
  | {
      readonly kind: 'aggregate'
      readonly store: KeyValueStoreSpec<unknown, unknown>
      readonly initializer: (key: unknown) => unknown
      readonly aggregator: (state: unknown, value: unknown, record: RecordContext) => unknown
    }
  | {
      readonly kind: 'process-values'
      readonly store: KeyValueStoreSpec<unknown, unknown>
      readonly initializer: (key: unknown) => unknown
      readonly processor: (
        state: unknown,
        value: unknown,
        record: RecordContext,
        forward: (value: unknown) => void,
      ) => unknown
    }
  | {
      readonly kind: 'windowed-aggregate'
      readonly store: WindowStoreSpec<unknown, unknown>
      readonly windows: Windows
      readonly initializer: (key: unknown, window: Window) => unknown
      readonly aggregator: (state: unknown, value: unknown, record: RecordContext) => unknown
      readonly emit: EmitOptions | undefined
    }
  | {
      readonly kind: 'roll-up'
      readonly store: WindowStoreSpec<unknown, unknown>
      readonly windows: Windows
      /** The smaller windows it is merged from, and where they are kept. */
      readonly partStore: WindowStoreSpec<unknown, unknown>
      readonly partWindows: Windows
      readonly merge: (parts: readonly unknown[], key: unknown, window: Window) => unknown
      readonly closedAfterMs: number
    }
  | {
      readonly kind: 'sink'
      readonly topic: string
      readonly key: Serde<unknown>
      readonly value: Serde<unknown>
      readonly timestamp: ((value: unknown) => number) | undefined
      /** Its own, or that of the stream it comes from. */
      readonly deadLetterTopic: string | undefined
      readonly onProductionError: ProductionErrorHandler | undefined
    }

export type NodeKind = NodeSpec['kind']
export type NodeOf<Kind extends NodeKind> = Extract<NodeSpec, { kind: Kind }>

export interface GraphNode {
  readonly id: number
  readonly parentId: number | undefined
  readonly spec: NodeSpec
}

/** For errors and for people: the kind of a node, with its topic or store. */
export function nameOfNode(spec: NodeSpec): string {
  if ('topic' in spec) return `${spec.kind} ${spec.topic}`
  return 'store' in spec ? `${spec.kind} ${spec.store.name}` : spec.kind
}

/** The store a node writes, if it keeps state. */
export function storeOf(spec: NodeSpec): StoreSpec | undefined {
  return 'store' in spec ? (spec.store as StoreSpec) : undefined
}
