import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { visitRecords } from '../kafka/records/decode.js'
import { messageOf, StreamsError } from '../errors.js'
import type { EngineWrite, Engine } from '../state/engine.js'
import type { Progress } from '../state/progress.js'
import type { CacheBudget } from '../state/object-cache.js'
import type { NodeOf, RecordContext } from '../topology/nodes.js'
import type { SubTopology } from '../topology/topology.js'
import type { NodeContext } from './stateful-node.js'
import { TaskClock } from './task-clock.js'
import { wireTask, type OutputCollector, type TaskGraph } from './task-graph.js'

/** A record that was put aside: its bytes as they came, and why. */
export interface RejectedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly deadLetterTopic: string
  readonly error: unknown
}

/** A record that failed again and again while it was processed, and with what. */
export interface PoisonRecord {
  readonly offset: number
  readonly error: unknown
}

/** A record that can be decoded and that the source's `check` does not let pass. */
export class InvalidRecordError extends Error {
  readonly code = 'INVALID_RECORD'
  constructor(complaint: string) {
    super(complaint)
    this.name = 'InvalidRecordError'
  }
}

/** Reads one record in place: where its key and its value lie in the bytes. */
export type RecordReader = (
  offset: number,
  timestampMs: number,
  bytes: Buffer,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
) => void

/** Where a task's records go. One object serves all tasks of an instance; what it collects belongs to the interval. */
export interface TaskOutput extends OutputCollector {
  deadLetter(record: RejectedRecord): void
  late(storeName: string): void
}

/** What a commit takes from a task. */
export interface FrozenTask {
  /** Changes per store, keys as in the changelog. */
  readonly changes: ReadonlyMap<string, readonly EngineWrite[]>
  /** Which input the changes belong to. */
  readonly progress: Progress
  /** When the first record of each chunk entered the system, epoch ms, where the topology says so. */
  readonly createdAtMs: readonly number[]
}

export interface TaskProcessorOptions {
  subTopology: SubTopology
  partition: number
  engine: Engine
  budget: CacheBudget
  output: TaskOutput
}

/**
 * The processing of one task: one sub-topology for one partition. Records in, state changed, and at each freeze what
 * is to be published and stored. It knows no broker and no clock but the ones it is told.
 */
export class TaskProcessor {
  readonly clock = new TaskClock()
  readonly graph: TaskGraph
  readonly #record: RecordContext
  readonly #inputs = new Map<string, number>()
  readonly #output: TaskOutput
  #touched = false
  #createdAtMs: number[] = []

  constructor(private readonly options: TaskProcessorOptions) {
    const { subTopology, partition, engine, budget, output } = options
    this.#output = output
    this.#record = { topic: '', partition, offset: -1, timestampMs: -1 }
    const context: NodeContext = { clock: this.clock, record: this.#record, onLate: (store) => output.late(store) }
    this.graph = wireTask(subTopology, { engine, budget, context, output })
  }

  /** Next offset to read per input topic. */
  get inputs(): ReadonlyMap<string, number> {
    return this.#inputs
  }

  /** Something was read since the last freeze. */
  get touched(): boolean {
    return this.#touched
  }

  /** Drops every live object, changed or not, and gives its share of the cache back. */
  clear(): void {
    for (const store of this.graph.stores.values()) store.clear()
  }

  /**
   * Takes over what was committed: offsets and clocks. Every object is dropped, and open windows are found again.
   */
  async reset(inputs: ReadonlyMap<string, number>, clock: string): Promise<void> {
    this.clear()
    this.#inputs.clear()
    for (const [topic, offset] of inputs) this.#inputs.set(topic, offset)
    this.clock.restore(clock)
    this.#touched = false
    this.#createdAtMs = []
    for (const node of this.graph.stateful) await node.reopen()
  }

  /**
   * Runs every record of a chunk through the graph.
   * @param poison a record that is known to fail and is put aside instead
   * @returns how many records there were
   * @throws StreamsError PROCESSING with topic, partition and offset
   */
  process(chunk: FetchedChunk, poison?: PoisonRecord): number {
    const visit = this.visitor(chunk.topic, poison)
    const { createdAt, value: serde } = this.graph.sources.get(chunk.topic)!.spec
    let handle = visit
    if (createdAt !== undefined) {
      // Of the first record alone, which is the oldest; the others are handled without looking.
      handle = (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        handle = visit
        visit(offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd)
        try {
          const atMs = createdAt(serde.decode(bytes, valueStart, valueEnd))
          if (Number.isFinite(atMs)) this.#createdAtMs.push(atMs)
        } catch {
          // It was rejected: a dead letter has no results that could become visible.
        }
      }
    }
    let count = 0
    const next = visitRecords(
      chunk,
      'read_committed',
      (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        count++
        handle(offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd)
      },
    )
    this.progressed(chunk.topic, next)
    return count
  }

  /** Everything before `next` of this topic was processed. */
  progressed(topic: string, next: number): void {
    this.#inputs.set(topic, next)
    this.#touched = true
  }

  /** Runs one record of a topic through the graph, read in place from `bytes`; an end before its start means null. */
  visitor(topic: string, poison?: PoisonRecord): RecordReader {
    const { spec, forward } = this.graph.sources.get(topic)!
    const { key: keySerde, value: valueSerde, timestamp, check } = spec
    const { clock } = this
    const record = this.#record
    const { partition } = this.options
    return (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      let key: unknown
      let value: unknown
      let eventMs = timestampMs
      try {
        if (offset === poison?.offset) throw poison.error
        if (keyEnd < keyStart) throw new TypeError('the record has no key')
        if (valueEnd < valueStart) throw new TypeError('the record has no value')
        key = keySerde.decode(bytes, keyStart, keyEnd)
        value = valueSerde.decode(bytes, valueStart, valueEnd)
        if (timestamp !== undefined) eventMs = timestamp(value)
        if (!Number.isSafeInteger(eventMs) || eventMs < 0)
          throw new RangeError(`event time ${eventMs} is not an epoch ms`)
        const complaint = check?.(value, key, timestampMs)
        if (complaint !== undefined) throw new InvalidRecordError(complaint)
      } catch (error) {
        const part = (start: number, end: number) => (end < start ? null : Buffer.from(bytes.subarray(start, end)))
        this.#reject(spec, offset, part(keyStart, keyEnd), part(valueStart, valueEnd), error)
        return
      }
      record.topic = topic
      record.offset = offset
      record.timestampMs = eventMs
      clock.observe(eventMs, timestampMs)
      try {
        forward(key, value)
      } catch (error) {
        throw new StreamsError(
          'PROCESSING',
          `processing ${topic}-${partition} offset ${offset} failed: ${messageOf(error)}`,
          { topic, partition, offset },
          { cause: error },
        )
      }
    }
  }

  /** Announces and encodes everything that changed since the last freeze. */
  freeze(nowMs: number): FrozenTask {
    this.clock.catchUp()
    for (const node of this.graph.stateful) node.flush(nowMs)
    const changes = new Map<string, readonly EngineWrite[]>()
    for (const [name, store] of this.graph.stores) changes.set(name, store.freeze())
    this.#touched = false
    const createdAtMs = this.#createdAtMs
    this.#createdAtMs = []
    const progress = { inputs: Object.fromEntries(this.#inputs), clock: this.clock.toMetadata() }
    return { changes, progress, createdAtMs }
  }

  /** The engine has what was frozen. */
  persisted(): void {
    for (const store of this.graph.stores.values()) store.persisted()
  }

  /** When something held back wants to be announced, by the same wall clock that `freeze` is told. */
  get nextAnnouncementMs(): number {
    return Math.min(...this.graph.stateful.map((node) => node.nextAnnouncementMs), Number.POSITIVE_INFINITY)
  }

  /** How much quiet time (ms since the last record) would close the next window; infinity when none is open. */
  get quietUntilDueMs(): number {
    const earliest = Math.min(...this.graph.stateful.map((node) => node.earliestDueMs), Number.POSITIVE_INFINITY)
    return earliest - this.clock.passedMs
  }

  /**
   * The partition has been quiet for so long: moves the closing clock to the last moment passed at which a window is due.
   * @returns whether there is a window to close
   */
  quietFor(elapsedMs: number): boolean {
    const nowMs = this.clock.passedMs + elapsedMs
    const dues = this.graph.stateful.flatMap((node) => node.latestDueUpTo(nowMs) ?? [])
    if (dues.length === 0) return false
    this.clock.closeUpTo(Math.max(...dues))
    return true
  }

  #reject(
    { topic, deadLetterTopic }: NodeOf<'source'>,
    offset: number,
    key: Buffer | null,
    value: Buffer | null,
    error: unknown,
  ): void {
    const { partition } = this.options
    if (deadLetterTopic === undefined) {
      throw new StreamsError(
        'PROCESSING',
        `${topic}-${partition} offset ${offset} cannot be used: ${messageOf(error)}; ` +
          `give stream('${topic}') a deadLetterTopic to put such records aside`,
        { topic, partition, offset },
        { cause: error },
      )
    }
    this.#output.deadLetter({ topic, partition, offset, key, value, deadLetterTopic, error })
  }
}
