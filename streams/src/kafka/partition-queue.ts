import { KafkaError } from './errors.js'
import { nextEpoch, type ProducerStanding } from './producer-id.js'
import {
  advanceSequence,
  RecordBatchBuilder,
  stampBatch,
  type Compression,
  type RecordBatch,
  type RecordHeader,
} from './records/batch.js'
import { Backoff } from './retry.js'

export interface QueuedBatch {
  readonly batch: RecordBatch
  /** What it counts for in the producer's buffer: its size before compression. */
  readonly sizeBytes: number
  /** performance.now() of its first record. */
  readonly sinceMs: number
  /** Its producer id, epoch and sequence are written in and must not change any more, unless the standing is renewed. */
  stamped: boolean
  /** An earlier try may have been appended although no answer said so. */
  maybeAppended: boolean
}

/**
 * The records of one partition on their way: one open batch, sealed ones behind each other, of which only the first may be
 * in flight. So the order is kept whatever fails, and the sequence number of a batch is known when it is sent: one after the
 * last that was accepted.
 */
export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  readonly #maxBatchBytes: number
  readonly #compression: Compression
  readonly #backoff = new Backoff()
  readonly #sealed: QueuedBatch[] = []
  #open: RecordBatchBuilder | undefined
  #openSinceMs = 0
  #standing: ProducerStanding | undefined
  #sequence = 0
  inFlight = false
  /** performance.now() before which it is not tried again. */
  retryAtMs = 0
  /** Records taken, and records delivered or given up, since the beginning. */
  taken = 0
  settled = 0

  constructor(
    target: { topic: string; partition: number },
    standing: ProducerStanding,
    options: { maxBatchBytes: number; compression: Compression },
  ) {
    this.topic = target.topic
    this.partition = target.partition
    this.#standing = standing
    this.#maxBatchBytes = options.maxBatchBytes
    this.#compression = options.compression
  }

  get isEmpty(): boolean {
    return this.#sealed.length === 0 && this.#open === undefined
  }

  /** Undefined while a new producer id is needed. */
  get standing(): ProducerStanding | undefined {
    return this.#standing
  }

  /** performance.now() of the oldest record; Infinity when empty. */
  get sinceMs(): number {
    return this.#sealed[0]?.sinceMs ?? (this.#open === undefined ? Infinity : this.#openSinceMs)
  }

  /** Batches that can go without waiting for more records. */
  get sealedCount(): number {
    return this.#sealed.length
  }

  /** Takes a record and returns the bytes it adds to the buffer. Throws MESSAGE_TOO_LARGE or INVALID_TIMESTAMP. */
  append(key: Buffer | null, value: Buffer | null, timestampMs: number, headers: readonly RecordHeader[]): number {
    let open = this.#open ?? this.#newBatch()
    let added = open.append(key, value, timestampMs, headers)
    if (added === 0 && open === this.#open) {
      open = this.#newBatch()
      added = open.append(key, value, timestampMs, headers)
      if (added > 0) this.sealOpen()
    }
    if (added === 0) {
      const { topic, partition } = this
      throw KafkaError.named('MESSAGE_TOO_LARGE', { topic, partition }, `a record over ${this.#maxBatchBytes} bytes`)
    }
    this.taken++
    if (open === this.#open) return added
    this.#open = open
    this.#openSinceMs = performance.now()
    return open.sizeBytes
  }

  /** Ends the open batch; later records go into another. */
  sealOpen(): void {
    if (this.#open === undefined) return
    const sizeBytes = this.#open.sizeBytes
    const batch = this.#open.seal()
    this.#sealed.push({ batch, sizeBytes, sinceMs: this.#openSinceMs, stamped: false, maybeAppended: false })
    this.#open = undefined
  }

  /** The size of what `first` will give, without ending a batch for it. */
  get firstSizeBytes(): number {
    return this.#sealed[0]?.batch.bytes.length ?? this.#open?.sizeBytes ?? 0
  }

  /** The batch to send, stamped. The queue must not be empty and must have a standing. */
  first(): QueuedBatch {
    if (this.#sealed.length === 0) this.sealOpen()
    const queued = this.#sealed[0]
    if (queued === undefined || this.#standing === undefined) throw new Error('nothing to send, or no standing')
    if (!queued.stamped) {
      stampBatch(queued.batch, { ...this.#standing, sequence: this.#sequence, transactional: false })
      queued.stamped = true
    }
    return queued
  }

  /** The first batch is in the log. */
  delivered(): QueuedBatch {
    const queued = this.#shift()
    this.#sequence = advanceSequence(this.#sequence, queued.batch.recordCount)
    this.settled += queued.batch.recordCount
    this.#backoff.reset()
    return queued
  }

  /**
   * The first batch will not be accepted: these take its place, in front of the others, and the rest of its records counts as
   * settled. Its sequence numbers are used again, unless an earlier try may have used them up.
   */
  replaceFirst(parts: readonly RecordBatch[], sizes: readonly number[]): QueuedBatch {
    const queued = this.#shift()
    const { sinceMs } = queued
    const replacements = parts.map((batch, at) => ({
      batch,
      sizeBytes: sizes[at] ?? batch.bytes.length,
      sinceMs,
      stamped: false,
      maybeAppended: false,
    }))
    this.#sealed.unshift(...replacements)
    const kept = parts.reduce((count, { recordCount }) => count + recordCount, 0)
    this.settled += queued.batch.recordCount - kept
    if (queued.maybeAppended) this.restartSequence()
    this.#backoff.reset()
    return queued
  }

  /** To be tried again, after a pause that grows. */
  putOff(nowMs: number): void {
    this.retryAtMs = nowMs + this.#backoff.next()
  }

  /** Begins again at sequence 0 with the next epoch, or with a new producer id when the epochs are used up. */
  restartSequence(): void {
    if (this.#standing !== undefined) this.renew(nextEpoch(this.#standing))
  }

  /** Takes another standing, or none yet, at sequence 0. What was stamped is stamped anew. */
  renew(standing: ProducerStanding | undefined): void {
    this.#standing = standing
    this.#sequence = 0
    for (const queued of this.#sealed) queued.stamped = false
  }

  #newBatch(): RecordBatchBuilder {
    return new RecordBatchBuilder(this.#maxBatchBytes, this.#compression)
  }

  #shift(): QueuedBatch {
    const queued = this.#sealed.shift()
    if (queued === undefined) throw new Error('no batch was sent')
    return queued
  }
}
