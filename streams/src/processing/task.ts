import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { visitRecords, type RecordVisitor } from '../kafka/records/decode.js'
import { NO_TRACE } from '../kafka/trace-context.js'
import { StreamsError } from '../errors.js'
import type { EngineReads, EngineWrite } from '../state/engine.js'
import type { Progress } from '../state/progress.js'
import type { CacheBudget } from '../state/cache-budget.js'
import { UnencodableError } from '../state/object-cache.js'
import { nameOfNode, type NodeOf } from '../topology/nodes.js'
import type { SubTopology } from '../topology/topology.js'
import type { ErrorHandlers, ProductionErrorContext } from './error-handlers.js'
import type { GivenUp } from './given-up.js'
import { InputErrors } from './input-errors.js'
import { announcementError, storeEncodingError } from './node-error.js'
import type { PoisonRecord } from './poison-records.js'
import { ProductionErrors } from './production-errors.js'
import { sourceVisitor } from './source-visitor.js'
import type { NodeContext } from './stateful-node.js'
import { TaskClock } from './task-clock.js'
import { wireTask, type OutputCollector, type ProductionFailed, type Store, type TaskGraph } from './task-graph.js'

/** Where a task's records go. One object serves all tasks of an instance; what it collects belongs to the interval. */
export interface TaskOutput extends OutputCollector, GivenUp {
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
  engine: EngineReads
  budget: CacheBudget
  output: TaskOutput
  handlers?: ErrorHandlers
}

/**
 * The processing of one task: one sub-topology for one partition. Records in, state changed, and at each freeze what
 * is to be published and stored. It knows no broker and no clock but the ones it is told.
 */
export class TaskProcessor {
  readonly clock = new TaskClock()
  readonly graph: TaskGraph
  readonly #context: NodeContext
  readonly #inputs = new Map<string, number>()
  readonly #taskId: string
  readonly #inputErrors: InputErrors
  readonly #productionErrors: ProductionErrors
  #touched = false
  #createdAtMs: number[] = []

  constructor(private readonly options: TaskProcessorOptions) {
    const { subTopology, partition, engine, budget, output, handlers = {} } = options
    this.#taskId = `${subTopology.id}_${partition}`
    this.#inputErrors = new InputErrors({ taskId: this.#taskId, partition, handlers, givenUp: output })
    this.#productionErrors = new ProductionErrors(handlers, output)
    this.#context = {
      clock: this.clock,
      record: { topic: '', partition, offset: NOT_A_RECORD, timestampMs: -1 },
      trace: NO_TRACE,
      announcing: undefined,
      onLate: (store) => output.late(store),
    }
    const onProductionFailed: ProductionFailed = (...failed) => this.#productionFailed(...failed)
    this.graph = wireTask(subTopology, { engine, budget, context: this.#context, output, onProductionFailed })
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
   * @param poison records that are known to fail and are left out or put aside instead, by offset
   * @returns how many records there were
   * @throws ProcessingError with the record; StreamsError DESERIALIZATION, PRODUCTION or HANDLER to stop
   */
  process(chunk: FetchedChunk, poison: readonly PoisonRecord[] = []): number {
    const visit = this.visitor(chunk.topic, poison)
    const { createdAt, value: serde } = this.graph.sources.get(chunk.topic)!.spec
    let handle = visit
    if (createdAt !== undefined) {
      // Of the first record alone, which is the oldest; the others are handled without looking.
      handle = (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart) => {
        handle = visit
        visit(offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart)
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
      (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart) => {
        count++
        handle(offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart)
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
  visitor(topic: string, poison: readonly PoisonRecord[] = []): RecordVisitor {
    const source = this.graph.sources.get(topic)!
    return sourceVisitor(source, { context: this.#context, errors: this.#inputErrors, poison })
  }

  /**
   * Announces and encodes everything that changed since the last freeze.
   * @throws StreamsError PROCESSING with store and key when user code throws about an announcement, or a value of a store
   *   cannot be encoded; PRODUCTION or HANDLER when a sink is to stop the application
   */
  freeze(nowMs: number): FrozenTask {
    this.clock.catchUp()
    this.#announce(nowMs)
    const changes = new Map<string, readonly EngineWrite[]>()
    for (const [name, store] of this.graph.stores) changes.set(name, this.#encode(name, store))
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

  #announce(nowMs: number): void {
    const context = this.#context
    // What is announced is made of no one record any more.
    context.record.offset = NOT_A_RECORD
    for (const node of this.graph.stateful) {
      try {
        node.flush(nowMs)
      } catch (error) {
        throw error instanceof StreamsError ? error : announcementError(this.#taskId, node, context.announcing, error)
      }
    }
    context.trace = NO_TRACE
    context.announcing = undefined
  }

  #encode(name: string, store: Store): EngineWrite[] {
    try {
      return store.freeze()
    } catch (error) {
      throw error instanceof UnencodableError ? storeEncodingError(this.#taskId, name, error) : error
    }
  }

  #productionFailed(sink: NodeOf<'sink'>, key: Buffer | undefined, value: Buffer | undefined, error: unknown): void {
    const { record, trace } = this.#context
    const { topic, partition: inputPartition, offset } = record
    const failed: ProductionErrorContext = {
      taskId: this.#taskId,
      node: nameOfNode(sink),
      topic: sink.topic,
      partition: undefined,
      input: offset === NOT_A_RECORD ? undefined : { topic, partition: inputPartition, offset },
      key: key ?? null,
      value: value ?? null,
      headers: trace,
    }
    this.#productionErrors.failed(sink, failed, this.options.partition, error)
  }
}

/** The offset in the record context while what is announced is made of no one record. */
const NOT_A_RECORD = -1
