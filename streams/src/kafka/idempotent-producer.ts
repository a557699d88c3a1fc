import { Alarm } from './alarm.js'
import { DeliveryState } from './delivery-state.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { IdempotentProducerOptions, ProducerClient, RejectedRecord } from './idempotent-producer-options.js'
import type { PartitionQueue } from './partition-queue.js'
import { PartitionQueues } from './partition-queues.js'
import { ProducerBuffer } from './producer-buffer.js'
import { outcomeOf } from './produce-outcome.js'
import { acquireStanding, newStanding, type ProducerStanding } from './producer-id.js'
import { produce, type ProducedPartition } from './protocol/produce.js'
import type { Compression, RecordHeader } from './records/batch.js'
import { requireCodec } from './records/compression.js'
import { DEFAULT_MAX_BATCH_BYTES } from './records/encode.js'
import { batchOf } from './records/rebuild.js'
import { singleOut } from './refused-records.js'
import { fittingOneRequest } from './request-size.js'
import { pause } from './retry.js'

const DEFAULT_LINGER_MS = 5
const SERVER_TIMEOUT_MS = 30_000

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
  readonly #compression: Compression
  readonly #queues: PartitionQueues
  readonly #busyBrokers = new Set<number>()
  readonly #deliveries: DeliveryState
  readonly #buffer: ProducerBuffer
  readonly #stop = new AbortController()
  #standing: ProducerStanding | undefined
  #renewing = false
  #refreshing = false
  readonly #alarm = new Alarm(() => this.#pump())
  #accepting = true
  #closed: Promise<void> | undefined

  /** @throws CodecMissing when the compression cannot be loaded on this platform */
  constructor(client: ProducerClient, options: IdempotentProducerOptions) {
    requireCodec(options.compression ?? 'none')
    this.#client = client
    this.#options = options
    this.#lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS
    this.#compression = options.compression ?? 'none'
    this.#buffer = new ProducerBuffer(options.maxBufferedBytes)
    this.#queues = new PartitionQueues(client, {
      maxBatchBytes: options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
      compression: this.#compression,
    })
    this.#deliveries = new DeliveryState(client.log, options)
  }

  /** Gets a producer id, for as long as it takes. Throws what does not heal (authorization) and CLOSED. */
  async start(): Promise<void> {
    try {
      this.#standing = await acquireStanding(this.#client, this.#stop.signal)
    } catch (error) {
      throw this.#stop.signal.aborted ? KafkaError.closed() : error
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
    if (!this.#buffer.hasRoomFor(size)) return false
    const queue = this.#queues.get(topic, partition ?? this.#queues.choosePartition(topic, key), this.#standing)
    const { isEmpty, sealedCount } = queue
    try {
      this.#buffer.add(queue.append(key, value, timestampMs, headers))
    } catch (error) {
      const record = { topic, partition: queue.partition, key, value, timestampMs, headers: [...headers] }
      this.#reject([record], toKafkaError(error, false))
      return true
    }
    if (isEmpty) this.#alarm.setTo(performance.now() + this.#lingerMs)
    else if (queue.sealedCount > sealedCount) this.#alarm.setTo(performance.now())
    return true
  }

  /** What waits for Kafka, as encoded before compression. */
  get bufferedBytes(): number {
    return this.#buffer.sizeBytes
  }

  /** Resolves when at most `bytes` are buffered. */
  whenBelow(bytes: number): Promise<void> {
    return this.#buffer.whenBelow(bytes)
  }

  /** Sends what is there without lingering and resolves when all of it is delivered or rejected. Throws CLOSED. */
  flush(): Promise<void> {
    const targets = new Map<PartitionQueue, number>()
    for (const queue of this.#queues.all) {
      queue.sealOpen()
      if (queue.settled < queue.taken) targets.set(queue, queue.taken)
    }
    if (targets.size === 0) return Promise.resolve()
    this.#alarm.setTo(performance.now())
    return this.#buffer.whenSettled(targets)
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
    const records = this.#queues.all.reduce((left, { taken, settled }) => left + taken - settled, 0)
    if (records > 0) this.#client.log.error({ records, timeoutMs }, 'producer closed with undelivered records')
  }

  #halt(): void {
    this.#accepting = false
    this.#stop.abort()
    this.#alarm.stop()
    this.#buffer.halt()
  }

  /** Sends whatever is due to every broker that is free, and sets the timer for the rest. */
  #pump(): void {
    if (this.#stop.signal.aborted) return
    const nowMs = performance.now()
    const due = new Map<number, PartitionQueue[]>()
    const crowded = this.#buffer.isCrowded
    let nextMs = Infinity
    for (const queue of this.#queues.all) {
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
    this.#alarm.setTo(nextMs)
  }

  async #sendTo(leader: number, due: PartitionQueue[]): Promise<void> {
    const longestWaitingFirst = due.sort((a, b) => a.sinceMs - b.sinceMs)
    const queues = fittingOneRequest(longestWaitingFirst, ({ firstSizeBytes }) => firstSizeBytes)
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
    const outcome = outcomeOf(answer)
    switch (outcome.kind) {
      case 'delivered':
        return this.#delivered(queue)
      case 'retry':
        return this.#retry(queue, outcome.error)
      case 'sequence-lost':
        return this.#startAnew(queue, outcome.error, 'same')
      case 'standing-lost':
        return this.#startAnew(queue, outcome.error, 'new')
      case 'refused':
        return this.#refused(queue, outcome.error, outcome.atFault)
    }
  }

  #delivered(queue: PartitionQueue): void {
    const { batch, sizeBytes, sinceMs } = queue.delivered()
    this.#deliveries.wentThrough(queue)
    this.#options.onDelivered?.(batch.recordCount, performance.now() - sinceMs)
    this.#buffer.release(sizeBytes)
  }

  #retry(queue: PartitionQueue, error: KafkaError): void {
    queue.first().maybeAppended ||= error.outcomeUnknown
    queue.putOff(performance.now())
    this.#deliveries.failed(queue, error)
    this.#refreshMetadata()
  }

  #withoutLeader(queue: PartitionQueue, nowMs: number): void {
    const { topic, partition } = queue
    queue.putOff(nowMs)
    this.#deliveries.failed(queue, KafkaError.named('LEADER_NOT_AVAILABLE', { topic, partition }))
    this.#refreshMetadata()
    this.#alarm.setTo(queue.retryAtMs)
  }

  /** The queue goes on at sequence 0; its first batch may be in the log already if an answer to it was lost. */
  #startAnew(queue: PartitionQueue, error: KafkaError, standing: 'same' | 'new'): void {
    const { topic, partition } = queue
    const maybeTwice = queue.first().maybeAppended
    this.#client.log.warn(
      { topic, partition, error: error.message, maybeTwice },
      'the broker lost our sequence: starting anew',
    )
    if (standing === 'new') queue.renew(undefined)
    else queue.restartSequence()
    queue.putOff(performance.now())
    this.#deliveries.failed(queue, error)
  }

  /** Takes out the records at fault. When the broker does not say which, halves until it is a single one. */
  #refused(queue: PartitionQueue, error: KafkaError, atFault: readonly number[]): void {
    const first = queue.first()
    // A broker that broke on the request may have appended it all the same (UNKNOWN_SERVER_ERROR).
    first.maybeAppended ||= error.outcomeUnknown
    const { bad, parts } = singleOut(first.batch, error, atFault)
    const sizes = parts.map((part) => batchOf(part, 'none').bytes.length)
    const { sizeBytes } = queue.replaceFirst(
      parts.map((part) => batchOf(part, this.#compression)),
      sizes,
    )
    const { topic, partition } = queue
    if (bad.length > 0) {
      this.#deliveries.wentThrough(queue)
      const rejected = bad.map((record) => ({ topic, partition, ...record }))
      this.#reject(rejected, error)
    }
    this.#buffer.release(sizeBytes - sizes.reduce((sum, size) => sum + size, 0))
  }

  #reject(records: RejectedRecord[], error: KafkaError): void {
    const { onRejected } = this.#options
    if (onRejected === undefined) {
      this.#client.log.error({ records: records.length, error: error.message }, 'Kafka rejected records')
    } else {
      onRejected(records, error)
    }
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

  /** One new producer id for all partitions that need one. */
  async #renewStandings(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    try {
      const standing = await newStanding(this.#client)
      this.#standing = standing
      for (const queue of this.#queues.all) if (queue.standing === undefined) queue.renew(standing)
    } catch (cause) {
      const error = toKafkaError(cause, false)
      for (const queue of this.#queues.all) {
        if (queue.standing !== undefined) continue
        queue.putOff(performance.now())
        this.#deliveries.failed(queue, error)
      }
    } finally {
      this.#renewing = false
    }
    this.#pump()
  }
}
