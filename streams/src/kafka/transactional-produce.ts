import type { KafkaClient } from './client.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { TransactionalIdentity } from './protocol/transactions.js'
import { produce, type ProducedPartition } from './protocol/produce.js'
import { advanceSequence, stampBatch, type RecordBatch } from './records/batch.js'
import type { PartitionBatches } from './records/encode.js'
import { Backoff, pause } from './retry.js'

/** By topic and partition, the offset after the last record written. */
export type WrittenOffsets = Map<string, Map<number, number>>

/** One request stays well below socket.request.max.bytes and does not hold the broker's connection for long. */
export const MAX_REQUEST_BYTES = 8 * 1024 * 1024
const MAX_SERVER_TIMEOUT_MS = 30_000

interface Lane {
  topic: string
  partition: number
  /** What is still to be written, the first one perhaps on its way. */
  waiting: RecordBatch[]
}

/** Writes a transaction's batches to the leaders: one batch per partition at a time, leaders side by side. */
export class TransactionalProduce {
  readonly #client: KafkaClient
  /** The next sequence number by `topic partition`. */
  readonly #sequences = new Map<string, number>()

  constructor(client: KafkaClient) {
    this.#client = client
  }

  /** With a new epoch every partition begins at 0. */
  reset(): void {
    this.#sequences.clear()
  }

  /**
   * Resolves when all is written. Leaders that move or are away are waited for until `deadlineMs` (performance.now()); the
   * same batch keeps its sequence number over all tries, so a copy is recognised. Every request is over when this throws.
   */
  async send(
    identity: TransactionalIdentity,
    partitions: readonly PartitionBatches[],
    deadlineMs: number,
  ): Promise<WrittenOffsets> {
    const written: WrittenOffsets = new Map()
    let lanes: Lane[] = partitions.map(({ topic, partition, batches }) => ({ topic, partition, waiting: [...batches] }))
    for (const { topic, partition, waiting } of lanes) stampAll(identity, waiting, this.#sequenceOf(topic, partition))
    const backoff = new Backoff()
    while (lanes.length > 0) {
      const trouble = await this.#round(identity, lanes, deadlineMs, written)
      const hopeless = trouble.find((error) => !error.retriable)
      if (hopeless !== undefined) throw hopeless
      lanes = lanes.filter(({ waiting }) => waiting.length > 0)
      const [first] = trouble
      if (first === undefined) continue
      const waitMs = backoff.next()
      if (performance.now() + waitMs > deadlineMs || !(await pause(waitMs, this.#client.closing))) throw first
      await this.#client.refreshMetadata().catch(() => undefined)
    }
    return written
  }

  /** One request to each leader, with the first batches of its partitions. Returns what went wrong. */
  async #round(
    identity: TransactionalIdentity,
    lanes: readonly Lane[],
    deadlineMs: number,
    written: WrittenOffsets,
  ): Promise<KafkaError[]> {
    const trouble: KafkaError[] = []
    const byLeader = new Map<number, Lane[]>()
    for (const lane of lanes) {
      const { topic, partition } = lane
      const leader = this.#client.leaderIdOf(topic, partition) ?? (await this.#findLeader(topic, partition, trouble))
      if (leader !== undefined) byLeader.set(leader, [...(byLeader.get(leader) ?? []), lane])
    }
    const requests = [...byLeader].map(async ([leader, theirs]) => {
      try {
        const answered = await this.#request(identity, leader, upTo(MAX_REQUEST_BYTES, theirs), deadlineMs)
        for (const answer of answered) this.#settle(answer, theirs, written, trouble)
      } catch (error) {
        trouble.push(toKafkaError(error, true, { transactionalId: identity.transactionalId }))
      }
    })
    await Promise.all(requests)
    return trouble
  }

  async #findLeader(topic: string, partition: number, trouble: KafkaError[]): Promise<number | undefined> {
    try {
      await this.#client.leaderOf(topic, partition)
    } catch (error) {
      trouble.push(toKafkaError(error, false, { topic, partition }))
    }
    return this.#client.leaderIdOf(topic, partition)
  }

  async #request(
    identity: TransactionalIdentity,
    leader: number,
    lanes: readonly Lane[],
    deadlineMs: number,
  ): Promise<ProducedPartition[]> {
    const leftMs = Math.ceil(deadlineMs - performance.now())
    const request = produce({
      transactionalId: identity.transactionalId,
      timeoutMs: Math.min(Math.max(leftMs, 1), MAX_SERVER_TIMEOUT_MS),
      batches: lanes.map(({ topic, partition, waiting }) => ({ topic, partition, bytes: waiting[0]!.bytes })),
    })
    const broker = await this.#client.brokerWithId(leader)
    const { partitions } = await this.#client.send(broker, request)
    return partitions
  }

  #settle(answer: ProducedPartition, lanes: readonly Lane[], written: WrittenOffsets, trouble: KafkaError[]): void {
    const { topic, partition, errorCode, errorMessage, baseOffset } = answer
    const lane = lanes.find((candidate) => candidate.topic === topic && candidate.partition === partition)
    const batch = lane?.waiting[0]
    if (lane === undefined || batch === undefined) {
      trouble.push(KafkaError.invalidAnswer('Produce answered for a partition not asked', { topic, partition }))
    } else if (errorCode !== 0) {
      trouble.push(KafkaError.fromCode(errorCode, { topic, partition }, errorMessage))
    } else {
      lane.waiting.shift()
      this.#sequences.set(
        `${topic} ${partition}`,
        advanceSequence(this.#sequenceOf(topic, partition), batch.recordCount),
      )
      let offsets = written.get(topic)
      if (offsets === undefined) written.set(topic, (offsets = new Map()))
      offsets.set(partition, baseOffset + batch.recordCount)
    }
  }

  #sequenceOf(topic: string, partition: number): number {
    return this.#sequences.get(`${topic} ${partition}`) ?? 0
  }
}

function stampAll(identity: TransactionalIdentity, batches: readonly RecordBatch[], first: number): void {
  const { producerId, producerEpoch } = identity
  let sequence = first
  for (const batch of batches) {
    stampBatch(batch, { producerId, producerEpoch, sequence, transactional: true })
    sequence = advanceSequence(sequence, batch.recordCount)
  }
}

/** As many of the first batches as fit, at least one. */
function upTo(limitBytes: number, lanes: readonly Lane[]): Lane[] {
  const chosen: Lane[] = []
  let sizeBytes = 0
  for (const lane of lanes) {
    sizeBytes += lane.waiting[0]!.bytes.length
    if (chosen.length > 0 && sizeBytes > limitBytes) break
    chosen.push(lane)
  }
  return chosen
}
