import type { KafkaClient } from './client.js'
import { KafkaError, failOn, toKafkaError } from './errors.js'
import { partitionFor } from './partitioner.js'
import { PartitionQueue, type ProducerStanding } from './partition-queue.js'
import { produce, type ProducedPartition } from './protocol/produce.js'
import { initProducerId } from './protocol/transactions.js'
import type { Compression, RecordHeader } from './records/batch.js'
import { requireCodec } from './records/compression.js'
import { DEFAULT_MAX_BATCH_BYTES } from './records/encode.js'
import { batchOf, type PlainRecord } from './records/rebuild.js'
import { singleOut } from './refused-records.js'
import { Backoff, pause } from './retry.js'

/** A record that Kafka will never accept. */
export interface RejectedRecord extends PlainRecord {
  topic: string
  partition: number
}

/** What it needs of a KafkaClient. */
export type ProducerClient = Pick<
  KafkaClient,
  'leaderIdOf' | 'partitionCount' | 'brokerWithId' | 'anyBroker' | 'send' | 'refreshMetadata' | 'log' | 'closing'
>

export type ProducerState = 'ok' | 'retrying'

export interface IdempotentProducerOptions {
  /** At most this much waits for Kafka, as encoded before compression. A full buffer refuses: send() returns false. */
  maxBufferedBytes: number
  /** How long a record may wait for company before it is sent. Default 5 ms. */
  lingerMs?: number
  /** Default none. */
  compression?: Compression
  /** At most the topics' max.message.bytes. Default 1,000,000. */
  maxBatchBytes?: number
  /** The handlers below are called in the middle of things: they must not throw. After each accepted batch: its records, and how long its first one has waited. */
  onDelivered?(count: number, latencyMs: number): void
  /** Records that Kafka will never accept. Without this handler they are only logged. */
  onRejected?(records: RejectedRecord[], error: KafkaError): void
  /** Once when deliveries begin to fail, once when all go through again. */
  onState?(state: ProducerState, error?: KafkaError): void
}

const DEFAULT_LINGER_MS = 5
const MAX_REQUEST_BYTES = 8 * 1024 * 1024
const SERVER_TIMEOUT_MS = 30_000
const ABOVE_ANY_TRANSACTION_MS = 60_000

interface FlushWaiter {
  targets: Map<PartitionQueue, number>
  resolve: () => void
  reject: (error: KafkaError) => void
}

/** The broker does not know our sequence (any more): go on at 0 with the next epoch. */
const SEQUENCE_LOST = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID'])
/** Our producer id is worth nothing: ask for another. */
const STANDING_LOST = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING'])

/**
 * Records to Kafka without a transaction: each partition's records arrive in the order of send(), each exactly once as long as
 * this process lives, through broker restarts, moved leaders and cut connections. It never gives up on a record that Kafka may
 * accept later; what Kafka refuses for good goes to onRejected and the others go on.
 *
 * One request is in flight per broker and so at most one batch per partition; meanwhile records gather. Sequence errors are
 * handled as the Java client does (TransactionManager.canRetry, KIP-360): when the broker has lost our sequence
 * (OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID, for instance after an unclean election or after
 * producer.id.expiration.ms) the partition goes on at sequence 0 with the next epoch. Only in that case, and only if the
 * answer to an earlier try of the same batch was lost, can a batch be in the log twice.
 */
export class IdempotentProducer {
  readonly #client: ProducerClient
  readonly #options: IdempotentProducerOptions
  readonly #lingerMs: number
  readonly #maxBatchBytes: number
  readonly #topics = new Map<string, Map<number, PartitionQueue>>()
  readonly #queues: PartitionQueue[] = []
  readonly #busyBrokers = new Set<number>()
  readonly #troubled = new Set<PartitionQueue>()
  #belowWaiters: { bytes: number; resolve: () => void }[] = []
  #flushWaiters: FlushWaiter[] = []
  readonly #stop = new AbortController()
  #standing: ProducerStanding | undefined
  #renewing = false
  #refreshing = false
  #bufferedBytes = 0
  #keyless = 0
  #timer: NodeJS.Timeout | undefined
  #wakeAtMs = Infinity
  #accepting = true
  #closed: Promise<void> | undefined

  /** @throws CodecMissing when the compression cannot be loaded on this platform */
  constructor(client: ProducerClient, options: IdempotentProducerOptions) {
    requireCodec(options.compression ?? 'none')
    this.#client = client
    this.#options = options
    this.#lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS
    this.#maxBatchBytes = options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES
  }

  /** Gets a producer id, for as long as it takes. Throws what does not heal (authorization) and CLOSED. */
  async start(): Promise<void> {
    const backoff = new Backoff()
    for (;;) {
      try {
        this.#standing = await this.#newStanding()
        return
      } catch (error) {
        if (!(error instanceof KafkaError) || !error.retriable) throw error
        if (!(await pause(backoff.next(), this.#stop.signal))) throw KafkaError.closed()
      }
    }
  }

  /**
   * Takes a record; key and value are copied. Returns false, and has not taken it, when the buffer is full: wait with
   * whenBelow(). Partition null: by the key as Java's producer does, in turn for a record without one.
   * Throws when the topic is not watched (client.watchTopics) or has no such partition, and after close().
   */
  send(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    timestampMs: number,
    headers: readonly RecordHeader[] = [],
  ): boolean {
    if (!this.#accepting) throw KafkaError.closed()
    const size = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
    if (this.#bufferedBytes > 0 && this.#bufferedBytes + size > this.#options.maxBufferedBytes) return false
    const queue = this.#queueOf(topic, partition ?? this.#choosePartition(topic, key))
    const { isEmpty, sealedCount } = queue
    try {
      this.#bufferedBytes += queue.append(key, value, timestampMs, headers)
    } catch (error) {
      const record = { topic, partition: queue.partition, key, value, timestampMs, headers: [...headers] }
      this.#reject([record], toKafkaError(error, false))
      return true
    }
    if (isEmpty) this.#wakeAt(performance.now() + this.#lingerMs)
    else if (queue.sealedCount > sealedCount) this.#wakeAt(performance.now())
    return true
  }

  /** What waits for Kafka, as encoded before compression. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Resolves when at most `bytes` are buffered. */
  whenBelow(bytes: number): Promise<void> {
    if (this.#bufferedBytes <= bytes) return Promise.resolve()
    return new Promise((resolve) => this.#belowWaiters.push({ bytes, resolve }))
  }

  /** Sends what is there without lingering and resolves when all of it is delivered or rejected. Throws CLOSED. */
  flush(): Promise<void> {
    const targets = new Map<PartitionQueue, number>()
    for (const queue of this.#queues) {
      queue.sealOpen()
      if (queue.settled < queue.taken) targets.set(queue, queue.taken)
    }
    if (targets.size === 0) return Promise.resolve()
    this.#wakeAt(performance.now())
    return new Promise((resolve, reject) => this.#flushWaiters.push({ targets, resolve, reject }))
  }

  /**
   * Takes no more records, sends what is there for up to `timeoutMs` (default 30 s), and stops. What is left then is dropped
   * with an error in the log. Memoised; does not close the client.
   */
  close({ timeoutMs = 30_000 }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(timeoutMs)
    return this.#closed
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#accepting = false
    const flushed = new AbortController()
    const flush = this.flush().catch(() => undefined)
    await Promise.race([flush, pause(timeoutMs, AbortSignal.any([flushed.signal, this.#client.closing]))])
    flushed.abort()
    this.#halt()
    const records = this.#queues.reduce((left, { taken, settled }) => left + taken - settled, 0)
    if (records > 0) this.#client.log.error({ records, timeoutMs }, 'producer closed with undelivered records')
  }

  #halt(): void {
    this.#accepting = false
    this.#stop.abort()
    clearTimeout(this.#timer)
    for (const { resolve } of this.#belowWaiters) resolve()
    for (const { reject } of this.#flushWaiters) reject(KafkaError.closed(true))
    this.#belowWaiters = []
    this.#flushWaiters = []
  }

  #choosePartition(topic: string, key: Buffer | null): number {
    const count = this.#client.partitionCount(topic)
    return key === null ? this.#keyless++ % count : partitionFor(key, count)
  }

  #queueOf(topic: string, partition: number): PartitionQueue {
    let partitions = this.#topics.get(topic)
    let queue = partitions?.get(partition)
    if (queue !== undefined) return queue
    if (this.#standing === undefined) throw new Error('start() comes first')
    if (partition < 0 || partition >= this.#client.partitionCount(topic)) {
      throw KafkaError.named('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
    }
    queue = new PartitionQueue({ topic, partition }, this.#standing, {
      maxBatchBytes: this.#maxBatchBytes,
      compression: this.#options.compression ?? 'none',
    })
    if (partitions === undefined) this.#topics.set(topic, (partitions = new Map()))
    partitions.set(partition, queue)
    this.#queues.push(queue)
    return queue
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#wakeAtMs || this.#stop.signal.aborted) return
    clearTimeout(this.#timer)
    this.#wakeAtMs = atMs
    this.#timer = setTimeout(
      () => {
        this.#wakeAtMs = Infinity
        this.#pump()
      },
      Math.max(0, Math.ceil(atMs - performance.now())),
    )
  }

  /** Sends whatever is due to every broker that is free, and sets the timer for the rest. */
  #pump(): void {
    if (this.#stop.signal.aborted) return
    const nowMs = performance.now()
    const due = new Map<number, PartitionQueue[]>()
    const crowded = this.#bufferedBytes * 2 > this.#options.maxBufferedBytes
    let nextMs = Infinity
    for (const queue of this.#queues) {
      if (queue.inFlight || queue.isEmpty) continue
      const fromMs = queue.sealedCount > 0 || crowded ? 0 : queue.sinceMs + this.#lingerMs
      const dueAtMs = Math.max(fromMs, queue.retryAtMs)
      if (dueAtMs > nowMs) {
        nextMs = Math.min(nextMs, dueAtMs)
        continue
      }
      const leader = this.#client.leaderIdOf(queue.topic, queue.partition)
      if (queue.standing === undefined) void this.#renewStandings()
      else if (leader === undefined) this.#withoutLeader(queue, nowMs)
      else if (!this.#busyBrokers.has(leader)) due.set(leader, [...(due.get(leader) ?? []), queue])
    }
    for (const [leader, queues] of due) void this.#sendTo(leader, queues)
    this.#wakeAt(nextMs)
  }

  async #sendTo(leader: number, due: PartitionQueue[]): Promise<void> {
    const queues = upTo(MAX_REQUEST_BYTES, due)
    this.#busyBrokers.add(leader)
    for (const queue of queues) queue.inFlight = true
    const outcome = await this.#request(leader, queues)
    this.#busyBrokers.delete(leader)
    for (const queue of queues) queue.inFlight = false
    if (outcome instanceof KafkaError && outcome.name === 'CLOSED') return this.#halt()
    for (const queue of queues) {
      if (outcome instanceof KafkaError) this.#retry(queue, outcome)
      else this.#settle(queue, outcome)
    }
    this.#pump()
  }

  async #request(leader: number, queues: readonly PartitionQueue[]): Promise<ProducedPartition[] | KafkaError> {
    const batches = queues.map((queue) => {
      const { topic, partition } = queue
      return { topic, partition, bytes: queue.first().batch.bytes }
    })
    try {
      const broker = await this.#client.brokerWithId(leader)
      const request = produce({ transactionalId: null, timeoutMs: SERVER_TIMEOUT_MS, batches })
      return (await this.#client.send(broker, request)).partitions
    } catch (error) {
      return toKafkaError(error, true)
    }
  }

  #settle(queue: PartitionQueue, answers: readonly ProducedPartition[]): void {
    const { topic, partition } = queue
    const answer = answers.find((candidate) => candidate.topic === topic && candidate.partition === partition)
    if (answer === undefined) return this.#retry(queue, KafkaError.invalidAnswer('no answer', { topic, partition }))
    const error = KafkaError.fromCode(answer.errorCode, { topic, partition }, answer.errorMessage)
    // DUPLICATE_SEQUENCE_NUMBER: it is in the log, only too long ago for the broker to know the offset.
    if (answer.errorCode === 0 || error.name === 'DUPLICATE_SEQUENCE_NUMBER') this.#delivered(queue)
    else if (error.retriable) this.#retry(queue, error)
    else if (SEQUENCE_LOST.has(error.name) || STANDING_LOST.has(error.name)) this.#renewSequence(queue, error)
    else
      this.#refused(
        queue,
        error,
        answer.recordErrors.map(({ index }) => index),
      )
  }

  #delivered(queue: PartitionQueue): void {
    const { batch, sizeBytes, sinceMs } = queue.delivered()
    this.#isWell(queue)
    this.#options.onDelivered?.(batch.recordCount, performance.now() - sinceMs)
    this.#release(sizeBytes)
  }

  #retry(queue: PartitionQueue, error: KafkaError): void {
    queue.first().maybeAppended ||= error.outcomeUnknown
    queue.putOff(performance.now())
    this.#isTroubled(queue, error)
    this.#refreshMetadata()
  }

  #withoutLeader(queue: PartitionQueue, nowMs: number): void {
    const { topic, partition } = queue
    queue.putOff(nowMs)
    this.#isTroubled(queue, KafkaError.named('LEADER_NOT_AVAILABLE', { topic, partition }))
    this.#refreshMetadata()
    this.#wakeAt(queue.retryAtMs)
  }

  #renewSequence(queue: PartitionQueue, error: KafkaError): void {
    const { topic, partition } = queue
    const maybeTwice = queue.first().maybeAppended
    this.#client.log.warn(
      { topic, partition, error: error.message, maybeTwice },
      'the broker lost our sequence: starting anew',
    )
    if (STANDING_LOST.has(error.name)) queue.renew(undefined)
    else queue.restartSequence()
    queue.putOff(performance.now())
    this.#isTroubled(queue, error)
  }

  /** Takes out the records at fault. When the broker does not say which, halves until it is a single one. */
  #refused(queue: PartitionQueue, error: KafkaError, atFault: readonly number[]): void {
    const { bad, parts } = singleOut(queue.first().batch, error, atFault)
    const compression = this.#options.compression ?? 'none'
    const sizes = parts.map((part) => batchOf(part, 'none').bytes.length)
    const { sizeBytes } = queue.replaceFirst(
      parts.map((part) => batchOf(part, compression)),
      sizes,
    )
    const { topic, partition } = queue
    if (bad.length > 0) {
      this.#isWell(queue)
      const rejected = bad.map((record) => ({ topic, partition, ...record }))
      this.#reject(rejected, error)
    }
    this.#release(sizeBytes - sizes.reduce((sum, size) => sum + size, 0))
  }

  #reject(records: RejectedRecord[], error: KafkaError): void {
    const { onRejected } = this.#options
    if (onRejected === undefined) {
      this.#client.log.error({ records: records.length, error: error.message }, 'Kafka rejected records')
    } else {
      onRejected(records, error)
    }
  }

  #release(bytes: number): void {
    this.#bufferedBytes -= bytes
    const belowNow = this.#belowWaiters.filter((waiter) => this.#bufferedBytes <= waiter.bytes)
    if (belowNow.length > 0) {
      this.#belowWaiters = this.#belowWaiters.filter((waiter) => !belowNow.includes(waiter))
      for (const { resolve } of belowNow) resolve()
    }
    if (this.#flushWaiters.length === 0) return
    const isFlushed = ({ targets }: { targets: Map<PartitionQueue, number> }) =>
      [...targets].every(([queue, taken]) => queue.settled >= taken)
    const flushed = this.#flushWaiters.filter(isFlushed)
    this.#flushWaiters = this.#flushWaiters.filter((waiter) => !flushed.includes(waiter))
    for (const { resolve } of flushed) resolve()
  }

  #isTroubled(queue: PartitionQueue, error: KafkaError): void {
    if (this.#troubled.size === 0) {
      this.#client.log.warn({ error: error.message }, 'producing fails, retrying')
      this.#options.onState?.('retrying', error)
    }
    this.#troubled.add(queue)
  }

  #isWell(queue: PartitionQueue): void {
    if (!this.#troubled.delete(queue) || this.#troubled.size > 0) return
    this.#client.log.info({}, 'producing works again')
    this.#options.onState?.('ok')
  }

  #refreshMetadata(): void {
    if (this.#refreshing) return
    this.#refreshing = true
    const done = () => {
      this.#refreshing = false
      this.#pump()
    }
    this.#client.refreshMetadata().then(done, done)
  }

  async #newStanding(): Promise<ProducerStanding> {
    const broker = await this.#client.anyBroker()
    const answer = await this.#client.send(broker, initProducerId(null, ABOVE_ANY_TRANSACTION_MS))
    failOn(answer.errorCode)
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
  }

  /** One new producer id for all partitions that need one. */
  async #renewStandings(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    try {
      const standing = await this.#newStanding()
      this.#standing = standing
      for (const queue of this.#queues) if (queue.standing === undefined) queue.renew(standing)
    } catch (cause) {
      const error = toKafkaError(cause, false)
      for (const queue of this.#queues) {
        if (queue.standing !== undefined) continue
        queue.putOff(performance.now())
        this.#isTroubled(queue, error)
      }
    } finally {
      this.#renewing = false
    }
    this.#pump()
  }
}

/** The longest waiting first, as many as fit into one request, at least one. */
function upTo(limitBytes: number, queues: PartitionQueue[]): PartitionQueue[] {
  const chosen: PartitionQueue[] = []
  let sizeBytes = 0
  for (const queue of queues.sort((a, b) => a.sinceMs - b.sinceMs)) {
    sizeBytes += queue.firstSizeBytes
    if (chosen.length > 0 && sizeBytes > limitBytes) break
    chosen.push(queue)
  }
  return chosen
}
