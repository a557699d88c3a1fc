import type { Serde } from '../serde.js'
import { partitionFor } from '../kafka/partitioner.js'
import { toDeadLetter } from '../commit/append-dead-letter.js'
import type { RecordHeader } from '../kafka/records/encode.js'
import { WireWriter } from '../kafka/wire/writer.js'
import type { ErrorHandlers } from '../processing/error-handlers.js'
import { TaskProcessor, type TaskOutput } from '../processing/task.js'
import { Expiry } from '../state/expiry.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { storePrefix } from '../state/store-keys.js'
import { CommittedReads, LatestReads, type Isolation } from '../queries/task-reads.js'
import { TaskView } from '../queries/task-view.js'
import type { Topology } from '../topology/topology.js'

/** What a driver may be told: handlers as in KafkaStreamsOptions, too. */
export interface DriverOptions extends ErrorHandlers {
  /** Partitions of every topic; default 1. */
  partitions?: number
  /** Where the wall clock starts, epoch ms; it moves only by `advanceWallClock`. */
  wallClockMs?: number
}

interface DriverTask {
  subTopologyId: number
  partition: number
  engine: MemoryEngine
  processor: TaskProcessor
  expiry: Expiry
}

/** A record as it was written to a topic. */
export interface OutputRecord {
  topic: string
  partition: number
  key: Buffer | null
  value: Buffer | null
  timestampMs: number
  headers: readonly RecordHeader[]
}

/**
 * Runs a topology with no broker and with time in your hand, by the same processing code that runs in production.
 * Records are processed at once; announcements and state come with `commit()`, as they do in an application.
 */
export class TopologyTestDriver {
  readonly #tasks: DriverTask[]
  readonly #outputs: OutputRecord[] = []
  /** What the topology wrote to topics that it reads: it sees them when they are committed. */
  #ownInput: OutputRecord[] = []
  readonly #offsets = new Map<string, number>()
  readonly #partitions: number
  #wallClockMs: number
  #quietSinceMs: number
  /** Records that were later than the grace of their window. */
  lateRecords = 0
  /** Records that were left out because a handler said `continue`. */
  droppedRecords = 0

  constructor(
    private readonly topology: Topology,
    { partitions = 1, wallClockMs = 0, ...handlers }: DriverOptions = {},
  ) {
    this.#partitions = partitions
    this.#wallClockMs = wallClockMs
    this.#quietSinceMs = wallClockMs
    const budget = new CacheBudget(64 << 20)
    this.#tasks = topology.subTopologies.flatMap((subTopology) =>
      Array.from({ length: partitions }, (_, partition) => {
        const engine = new MemoryEngine()
        const processor = new TaskProcessor({ subTopology, partition, engine, budget, output: this.#output, handlers })
        const { clock, graph } = processor
        const state = {
          remove: (keys: readonly Buffer[]) => engine.write(keys.map((key) => ({ key, value: undefined }))),
        }
        const expiry = new Expiry({ clock, stores: graph.stores, state })
        return { subTopologyId: subTopology.id, partition, engine, processor, expiry }
      }),
    )
  }

  /**
   * Hands a record to the topology; values may be given as the bytes they would have on the topic. Its timestamp is that
   * of the wall clock, but not before it happened.
   * @throws what the topology throws about it; an application would try it again, and then ask onProcessingError
   */
  pipe<K, V>(
    topic: string,
    record: {
      key: K | Buffer
      value: V | Buffer
      partition?: number
      offset?: number
      timestampMs?: number
      headers?: readonly RecordHeader[]
    },
    serdes?: { key: Serde<K>; value: Serde<V> },
  ): void {
    const source = this.topology.subTopologies
      .flatMap((sub) => sub.nodes)
      .find(({ spec }) => spec.kind === 'source' && spec.topic === topic)?.spec
    if (source?.kind !== 'source') throw new TypeError(`the topology does not read '${topic}'`)
    const encode = (value: unknown, serde: Serde<unknown>) => (Buffer.isBuffer(value) ? value : serde.encode(value))
    const key = encode(record.key, (serdes?.key ?? source.key) as Serde<unknown>)
    const value = encode(record.value, (serdes?.value ?? source.value) as Serde<unknown>)
    const partition = record.partition ?? partitionFor(key, this.#partitions)
    const at = `${topic}-${partition}`
    const offset = record.offset ?? this.#offsets.get(at) ?? 0
    this.#offsets.set(at, offset + 1)
    const task = this.#tasks.find((one) => one.partition === partition && one.processor.graph.sources.has(topic))!
    const bytes = Buffer.concat([key, value, encodeHeaders(record.headers ?? [])])
    const valueEnd = key.length + value.length
    const read = task.processor.visitor(topic)
    const eventMs = Buffer.isBuffer(record.value) ? 0 : (source.timestamp?.(record.value) ?? 0)
    read(
      offset,
      record.timestampMs ?? Math.max(this.#wallClockMs, eventMs),
      bytes,
      0,
      key.length,
      key.length,
      valueEnd,
      valueEnd,
    )
    task.processor.progressed(topic, offset + 1)
    this.#quietSinceMs = this.#wallClockMs
  }

  /**
   * Announces what changed and stores it, as a commit does. What was written to topics that the topology reads itself is
   * handed to it then, and committed too, until nothing comes of it any more.
   */
  async commit(): Promise<void> {
    await this.#commitOnce()
    while (this.#ownInput.length > 0) {
      const records = this.#ownInput
      this.#ownInput = []
      for (const { topic, key, value, ...record } of records) this.pipe(topic, { key: key!, value: value!, ...record })
      await this.#commitOnce()
    }
  }

  async #commitOnce(): Promise<void> {
    for (const { engine, processor, expiry } of this.#tasks) {
      const { changes } = processor.freeze(this.#wallClockMs)
      let changed = 0
      for (const [store, writes] of changes) {
        changed += writes.length
        const prefix = storePrefix(store)
        await engine.write(writes.map(({ key, value }) => ({ key: Buffer.concat([prefix, key]), value })))
      }
      processor.persisted()
      await expiry.run(changed)
    }
  }

  /** Lets quiet time pass and commits: open windows that are due close. */
  async advanceWallClock(ms: number): Promise<void> {
    this.#wallClockMs += ms
    for (const { processor } of this.#tasks) processor.quietFor(this.#wallClockMs - this.#quietSinceMs)
    await this.commit()
  }

  /** Everything written to a topic since the last call, in order. */
  readOutput<K, V>(topic: string, { key, value }: { key: Serde<K>; value: Serde<V> }) {
    const records = this.readRaw(topic)
    return records.map((record) => ({
      key: decodeWhole(key, record.key!),
      value: decodeWhole(value, record.value!),
      partition: record.partition,
      timestampMs: record.timestampMs,
      headers: record.headers,
    }))
  }

  /** The same, undecoded. */
  readRaw(topic: string): OutputRecord[] {
    const found = this.#outputs.filter((record) => record.topic === topic)
    const rest = this.#outputs.filter((record) => record.topic !== topic)
    this.#outputs.splice(0, this.#outputs.length, ...rest)
    return found
  }

  /**
   * The state of one task, as an interactive query sees it.
   * @param where which task: that of a store (by its name) or of a sub-topology (by its id), and of which partition; what
   * there is only one of may be left out
   * @throws TypeError when no task or several are meant
   */
  view(
    where: { store?: string; subTopology?: number; partition?: number } = {},
    isolation: Isolation = 'committed',
  ): TaskView {
    const { store, subTopology, partition = this.#partitions === 1 ? 0 : undefined } = where
    if (partition === undefined) {
      const last = this.#partitions - 1
      throw new TypeError(`a key's state is on one partition of 0 to ${last}: say which { partition } is shown`)
    }
    const meant = this.topology.subTopologies.filter(
      ({ id, stores }) =>
        (subTopology === undefined || id === subTopology) &&
        (store === undefined || stores.some(({ name }) => name === store)),
    )
    const task = this.#tasks.find((one) => one.subTopologyId === meant[0]?.id && one.partition === partition)
    if (task === undefined || meant.length > 1) {
      throw new TypeError(`${meant.length} sub-topologies fit ${JSON.stringify(where)}: one task is shown at a time`)
    }
    const { engine, processor } = task
    const { clock, graph } = processor
    const reads =
      isolation === 'latest'
        ? new LatestReads(engine, clock, graph.stores)
        : new CommittedReads(engine, () => ({ ...clock, unpersisted: new Map() }))
    return new TaskView({ taskId: `${task.subTopologyId}_${partition}`, partition, reads })
  }

  /** Drops every live object and reads state back from what was committed, as after a crash and a restore. */
  async restart(): Promise<void> {
    for (const { processor } of this.#tasks) {
      await processor.reset(new Map(processor.inputs), processor.clock.toMetadata())
    }
  }

  readonly #output: TaskOutput = {
    append: (topic, key, value, timestampMs, headers) => {
      const record = { topic, partition: partitionFor(key, this.#partitions), key, value, timestampMs, headers }
      this.#outputs.push(record)
      if (this.topology.sourceOf(topic) !== undefined) this.#ownInput.push(record)
    },
    deadLetter: (rejected) => {
      const timestampMs = this.#wallClockMs
      const letter = toDeadLetter(rejected, timestampMs)
      this.#outputs.push({ topic: rejected.deadLetterTopic, partition: 0, timestampMs, ...letter })
    },
    dropped: () => {
      this.droppedRecords++
    },
    late: () => {
      this.lateRecords++
    },
  }
}

/** As they stand behind the value in a record. */
function encodeHeaders(headers: readonly RecordHeader[]): Buffer {
  const writer = new WireWriter()
  writer.varint(headers.length)
  for (const { key, value } of headers) {
    writer
      .varint(Buffer.byteLength(key))
      .raw(Buffer.from(key))
      .varint(value?.length ?? -1)
    if (value !== null) writer.raw(value)
  }
  return Buffer.from(writer.bytes)
}

function decodeWhole<T>(serde: Serde<T>, bytes: Buffer): T {
  return serde.decode(bytes, 0, bytes.length)
}
