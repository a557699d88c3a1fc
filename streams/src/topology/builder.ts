import type { InputErrorHandler, ProductionErrorHandler } from '../processing/error-handlers.js'
import type { Serde } from '../serde.js'
import type { Announcement, EmitOptions, GraphNode, NodeSpec, RecordContext } from './nodes.js'
import type { KeyValueStoreSpec, WindowStoreSpec } from './stores.js'
import { Topology } from './topology.js'
import type { Window, Windows } from './windows.js'

/** How a topic is read. */
export interface ConsumedOptions<K, V> {
  key: Serde<K>
  value: Serde<V>
  /** Event time in epoch ms, read from the value; without it the record's own timestamp counts. */
  timestamp?: (value: V) => number
  /** When the record entered the system, epoch ms: the beginning of the metric end_to_end_seconds. */
  createdAt?: (value: V) => number
  /**
   * What is wrong with a record that can be decoded; undefined = nothing. `appendedMs` is the record's own timestamp: with
   * LogAppendTime when the broker took it, so that every owner of the partition judges alike.
   */
  check?: (value: V, key: K, appendedMs: number) => string | undefined
  /**
   * Where records go that cannot be decoded, that `check` does not let pass, or that fail in processing again and again,
   * and what is made of this stream and cannot be written; without it such a record stops the application, unless a
   * handler says `continue`.
   */
  deadLetterTopic?: string
  /** For this topic instead of KafkaStreamsOptions.onDeserializationError. */
  onDeserializationError?: InputErrorHandler
  /** For this topic instead of KafkaStreamsOptions.onProcessingError. */
  onProcessingError?: InputErrorHandler
}

/** How a topic is written. */
export interface ProducedOptions<K, V> {
  key: Serde<K>
  value: Serde<V>
  /** The record's timestamp; without it the stream time at which it was made. */
  timestamp?: (value: V) => number
  /** Where records go that cannot be written; default: the dead-letter topic of the stream this one comes from. */
  deadLetterTopic?: string
  /** For this topic instead of KafkaStreamsOptions.onProductionError. */
  onProductionError?: ProductionErrorHandler
}

/** Called for each record; may mutate `state` and return it. `record` is reused: copy what you keep. */
export type Aggregator<S, V> = (state: S, value: V, record: RecordContext) => S

/**
 * Called for each record, with the state of its key; may mutate `state` and return it, and hand on any number of values.
 * `record` is reused: copy what you keep. For what is announced at commits its offset is -1.
 */
export type ValueProcessor<S, V, W> = (state: S, value: V, record: RecordContext, forward: (value: W) => void) => S

/**
 * Builds a topology step by step; names and meanings are those of Kafka Streams' DSL.
 * A builder is used once: `build()` freezes what was described.
 */
export class StreamsBuilder {
  readonly #nodes: GraphNode[] = []
  readonly #storeNames = new Set<string>()
  readonly #sourceTopics = new Set<string>()

  /** Reads a topic. A topic is read once: use the stream it returns as often as you like. */
  stream<K, V>(topic: string, options: ConsumedOptions<K, V>): KStream<K, V> {
    if (this.#sourceTopics.has(topic)) throw new TypeError(`topic '${topic}' is read already: use that stream again`)
    this.#sourceTopics.add(topic)
    const { timestamp, createdAt, check, deadLetterTopic, key, value } = options
    const { onDeserializationError, onProcessingError } = options
    return new KStream(
      this.#graph,
      this.#add(undefined, {
        kind: 'source',
        topic,
        key,
        value,
        timestamp,
        createdAt,
        check,
        deadLetterTopic,
        onDeserializationError,
        onProcessingError,
      } as NodeSpec),
    )
  }

  /** @throws TypeError when nothing was described */
  build(): Topology {
    if (this.#nodes.length === 0) throw new TypeError('an empty topology: begin with stream(topic, ...)')
    return new Topology([...this.#nodes])
  }

  readonly #graph: Graph = {
    add: (parentId, spec) => this.#add(parentId, spec),
    setEmit: (id, emit) => {
      const node = this.#nodes[id]!
      if (node.spec.kind !== 'windowed-aggregate') throw new TypeError('only windows are announced')
      if (node.spec.emit !== undefined) throw new TypeError(`store '${node.spec.store.name}' is announced already`)
      this.#nodes[id] = { ...node, spec: { ...node.spec, emit } }
    },
    deadLetterTopicAbove: (id) => {
      let node = this.#nodes[id]!
      while (node.parentId !== undefined) node = this.#nodes[node.parentId]!
      return node.spec.kind === 'source' ? node.spec.deadLetterTopic : undefined
    },
    claimStore: (name) => {
      if (this.#storeNames.has(name)) throw new TypeError(`store '${name}' is written already: names are unique`)
      this.#storeNames.add(name)
    },
  }

  #add(parentId: number | undefined, spec: NodeSpec): number {
    const id = this.#nodes.length
    this.#nodes.push({ id, parentId, spec })
    return id
  }
}

interface Graph {
  add(parentId: number, spec: NodeSpec): number
  setEmit(id: number, emit: EmitOptions): void
  /** Of the stream that a node comes from. */
  deadLetterTopicAbove(id: number): string | undefined
  claimStore(name: string): void
}

/** Records of one kind on their way. Every step returns a new stream; a stream may be used several times. */
export class KStream<K, V> {
  /** True once the key was changed: from then on records may lie on the wrong partition for grouping. */
  protected readonly rekeyed: boolean

  /** @internal */
  constructor(
    protected readonly graph: Graph,
    protected readonly nodeId: number,
    rekeyed = false,
  ) {
    this.rekeyed = rekeyed
  }

  /** Keeps the records for which the predicate holds. */
  filter(predicate: (value: V, key: K) => boolean): KStream<K, V> {
    return this.#next({ kind: 'filter', predicate } as NodeSpec)
  }

  /** Turns each value into another; the key stays. */
  mapValues<W>(map: (value: V, key: K) => W): KStream<K, W> {
    return this.#next({ kind: 'map-values', map } as NodeSpec)
  }

  /** Turns each value into any number of others, in this order; the key stays. */
  flatMapValues<W>(map: (value: V, key: K) => Iterable<W>): KStream<K, W> {
    return this.#next({ kind: 'flat-map-values', map } as NodeSpec)
  }

  /** Gives each record another key. Such a stream can be written to a topic, not grouped. */
  selectKey<K2>(select: (value: V, key: K) => K2): KStream<K2, V> {
    return new KStream(this.graph, this.graph.add(this.nodeId, { kind: 'select-key', select } as NodeSpec), true)
  }

  /**
   * Groups by the key the records have.
   * @throws TypeError after selectKey: write to a topic and read that one, so that equal keys meet on one partition
   */
  groupByKey(): KGroupedStream<K, V> {
    this.#checkKey()
    return new KGroupedStream(this.graph, this.nodeId)
  }

  /**
   * Looks at each record beside the state that a store has for its key, and hands on what comes of it: at once and in the
   * order of the records, where an aggregate announces once per commit. Kafka Streams' `processValues` with one store.
   * @throws TypeError after selectKey, as groupByKey does
   */
  processValues<S, W>(
    store: KeyValueStoreSpec<K, S>,
    initializer: (key: K) => S,
    processor: ValueProcessor<S, V, W>,
  ): KStream<K, W> {
    this.#checkKey()
    this.graph.claimStore(store.name)
    return this.#next({ kind: 'process-values', store, initializer, processor } as NodeSpec)
  }

  /** Writes each record to a topic; the partition is murmur2 of the key's bytes, as Java producers have it. */
  to(topic: string, options: ProducedOptions<K, V>): void {
    const { key, value, timestamp, onProductionError } = options
    const deadLetterTopic = options.deadLetterTopic ?? this.graph.deadLetterTopicAbove(this.nodeId)
    const spec = { kind: 'sink', topic, key, value, timestamp, deadLetterTopic, onProductionError }
    this.graph.add(this.nodeId, spec as unknown as NodeSpec)
  }

  #checkKey(): void {
    if (!this.rekeyed) return
    throw new TypeError('the key was changed: write to a topic with .to() and group what is read from it')
  }

  #next<W>(spec: NodeSpec): KStream<K, W> {
    return new KStream(this.graph, this.graph.add(this.nodeId, spec), this.rekeyed)
  }
}

/** Records of one kind, grouped by their key. */
export class KGroupedStream<K, V> {
  /** @internal */
  constructor(
    private readonly graph: Graph,
    private readonly nodeId: number,
  ) {}

  /** Folds the records of each key into one state, kept in a store. */
  aggregate<S>(store: KeyValueStoreSpec<K, S>, initializer: (key: K) => S, aggregator: Aggregator<S, V>): KTable<K, S> {
    this.graph.claimStore(store.name)
    return new KTable(
      this.graph,
      this.graph.add(this.nodeId, { kind: 'aggregate', store, initializer, aggregator } as NodeSpec),
    )
  }

  /** How many records there were of each key. */
  count(store: KeyValueStoreSpec<K, number>): KTable<K, number> {
    return this.aggregate(
      store,
      () => 0,
      (count) => count + 1,
    )
  }

  /** Cuts time into windows; every key has its own state in each. */
  windowedBy(windows: Windows): WindowedKGroupedStream<K, V> {
    return new WindowedKGroupedStream(this.graph, this.nodeId, windows)
  }
}

/** Records of one kind, grouped by their key and cut into windows of time. */
export class WindowedKGroupedStream<K, V> {
  /** @internal */
  constructor(
    private readonly graph: Graph,
    private readonly nodeId: number,
    private readonly windows: Windows,
  ) {}

  /** Folds the records of each key and window into one state. Records later than the grace are counted and left out. */
  aggregate<S>(
    store: WindowStoreSpec<K, S>,
    initializer: (key: K, window: Window) => S,
    aggregator: Aggregator<S, V>,
  ): WindowedKTable<K, S> {
    this.graph.claimStore(store.name)
    checkRetention(store, this.windows.maxSizeMs + this.windows.graceMs)
    const spec = { kind: 'windowed-aggregate', store, windows: this.windows, initializer, aggregator, emit: undefined }
    return new WindowedKTable(this.graph, this.graph.add(this.nodeId, spec as unknown as NodeSpec), this.windows, store)
  }
}

/** The latest state of each key. */
export class KTable<K, S> {
  /** @internal */
  constructor(
    private readonly graph: Graph,
    private readonly nodeId: number,
  ) {}

  /** One record per commit and changed key. The value is the live state: publish a projection of it, never keep it. */
  toStream(): KStream<K, S> {
    return new KStream(this.graph, this.nodeId)
  }
}

/** The state of each key and window. */
export class WindowedKTable<K, S> {
  /** @internal */
  constructor(
    private readonly graph: Graph,
    private readonly nodeId: number,
    private readonly windows: Windows,
    private readonly store: WindowStoreSpec<K, S>,
  ) {}

  /** Announces windows: open ones now and then, closed ones once, and again when a late record corrects them. */
  emit(options: EmitOptions): AnnouncedKStream<K, S> {
    this.graph.setEmit(this.nodeId, options)
    checkRetention(this.store, this.windows.maxSizeMs + options.closedAfterMs)
    return new AnnouncedKStream(this.graph, this.nodeId, this.windows, this.store, options.closedAfterMs)
  }
}

/** Announcements of windows, which can be merged into larger ones. */
export class AnnouncedKStream<K, S> extends KStream<K, Announcement<S>> {
  /** @internal */
  constructor(
    graph: Graph,
    nodeId: number,
    private readonly windows: Windows,
    private readonly store: WindowStoreSpec<K, S>,
    private readonly closedAfterMs: number,
  ) {
    super(graph, nodeId)
  }

  /**
   * Larger windows, merged from these in ascending order when their last part is announced, and again when a part is
   * corrected. `merge` gets the parts that exist and makes a new state of them; it must not change them.
   * Every part must lie within one larger window. Only closed windows are announced.
   */
  rollUp<M>(
    windows: Windows,
    store: WindowStoreSpec<K, M>,
    merge: (parts: readonly S[], key: K, window: Window) => M,
  ): AnnouncedKStream<K, M> {
    this.graph.claimStore(store.name)
    // Corrections come until the grace of the parts is over, whatever that of the larger windows is.
    const neededMs = windows.maxSizeMs + Math.max(windows.graceMs, this.windows.graceMs, this.closedAfterMs)
    checkRetention(store, neededMs)
    checkRetention(this.store, neededMs)
    const spec = {
      kind: 'roll-up',
      store,
      windows,
      partStore: this.store,
      partWindows: this.windows,
      merge,
      closedAfterMs: this.closedAfterMs,
    }
    const id = this.graph.add(this.nodeId, spec as unknown as NodeSpec)
    return new AnnouncedKStream(this.graph, id, windows, store, this.closedAfterMs)
  }
}

function checkRetention(store: { name: string; retentionMs: number }, leastMs: number): void {
  if (store.retentionMs >= leastMs) return
  throw new RangeError(
    `store '${store.name}' keeps windows for ${store.retentionMs} ms, but they are needed for ${leastMs} ms (their size, and how long they are corrected or waited for)`,
  )
}
