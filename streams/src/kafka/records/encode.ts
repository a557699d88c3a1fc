import { KafkaError } from '../errors.js'
import { RecordBatchBuilder, type Compression, type RecordBatch, type RecordHeader } from './batch.js'

export type { Compression, RecordHeader } from './batch.js'

/**
 * The broker refuses a batch larger than the topic's max.message.bytes (1,048,588 by default). A little room is left, because
 * the broker counts a few bytes of its own when it converts.
 */
export const DEFAULT_MAX_BATCH_BYTES = 1_000_000

/** The sealed batches of one partition, in order. */
export interface PartitionBatches {
  topic: string
  partition: number
  batches: RecordBatch[]
}

/**
 * Records on their way to the broker, appended straight into record batches: one per topic-partition, and a new one whenever
 * the next record would exceed `maxBatchBytes` (uncompressed). Holds what it is given until clear(); whoever appends bounds it
 * by `sizeBytes` or `recordCount`.
 */
export class RecordAccumulator {
  readonly #maxBatchBytes: number
  readonly #compression: Compression
  readonly #topics = new Map<string, Map<number, { sealed: RecordBatch[]; open: RecordBatchBuilder }>>()
  #recordCount = 0
  #sizeBytes = 0

  constructor(options: { maxBatchBytes?: number; compression?: Compression } = {}) {
    this.#maxBatchBytes = options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES
    this.#compression = options.compression ?? 'none'
  }

  /**
   * Adds a record. Key and value are copied.
   * Throws KafkaError MESSAGE_TOO_LARGE for one record over the limit, INVALID_TIMESTAMP for a time that is not one.
   */
  append(
    topic: string,
    partition: number,
    key: Buffer | null,
    value: Buffer | null,
    timestampMs: number,
    headers: readonly RecordHeader[] = [],
  ): void {
    const target = this.#targetOf(topic, partition)
    let added = target.open.append(key, value, timestampMs, headers)
    if (added === 0 && target.open.recordCount > 0) {
      target.sealed.push(target.open.seal())
      target.open = new RecordBatchBuilder(this.#maxBatchBytes, this.#compression)
      added = target.open.append(key, value, timestampMs, headers)
    }
    if (added === 0) {
      throw KafkaError.named('MESSAGE_TOO_LARGE', { topic, partition }, `a record over ${this.#maxBatchBytes} bytes`)
    }
    this.#recordCount++
    this.#sizeBytes += added
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** Encoded size before compression. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The partitions that have records, by topic. */
  get partitions(): Map<string, number[]> {
    const found = new Map<string, number[]>()
    for (const [topic, partitions] of this.#topics) {
      const filled = [...partitions].filter(([, { sealed, open }]) => sealed.length > 0 || open.recordCount > 0)
      if (filled.length > 0)
        found.set(
          topic,
          filled.map(([partition]) => partition),
        )
    }
    return found
  }

  /** Ends the open batches and returns all of them; later records go into new ones. */
  seal(): PartitionBatches[] {
    const all: PartitionBatches[] = []
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, target] of partitions) {
        if (target.open.recordCount > 0) {
          target.sealed.push(target.open.seal())
          target.open = new RecordBatchBuilder(this.#maxBatchBytes, this.#compression)
        }
        if (target.sealed.length > 0) all.push({ topic, partition, batches: [...target.sealed] })
      }
    }
    return all
  }

  /** Forgets all records. */
  clear(): void {
    this.#topics.clear()
    this.#recordCount = 0
    this.#sizeBytes = 0
  }

  #targetOf(topic: string, partition: number) {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) this.#topics.set(topic, (partitions = new Map()))
    let target = partitions.get(partition)
    if (target === undefined) {
      target = { sealed: [], open: new RecordBatchBuilder(this.#maxBatchBytes, this.#compression) }
      partitions.set(partition, target)
    }
    return target
  }
}
