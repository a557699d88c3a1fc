import type { KafkaClient } from './client.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { ProducerStanding } from './producer-id.js'
import { produce, type ProducedPartition } from './protocol/produce.js'
import { advanceSequence, stampBatch, type RecordBatch } from './records/batch.js'
import type { PartitionBatches } from './records/encode.js'
import { batchOf, compressionOf, recordsOf } from './records/rebuild.js'
import { blamesRecords, blamesTopic, refuse, singleOut, type OnRefused } from './refused-records.js'
import { fittingOneRequest } from './request-size.js'
import { Backoff, pause } from './retry.js'
import type { WireWriter } from './wire/writer.js'

/** By topic and partition, the offset after the last record written. */
export type WrittenOffsets = Map<string, Map<number, number>>

/** Who produces: with a transactional id as part of its open transaction, with null on its own. */
export interface ProducerIdentity extends ProducerStanding {
  transactionalId: string | null
}

const MAX_SERVER_TIMEOUT_MS = 30_000

interface Lane {
  topic: string
  partition: number
  /** What is still to be written, the first one perhaps on its way. */
  waiting: RecordBatch[]
}

/** A batch that a broker will not take as it is. */
interface RefusedBatch {
  lane: Lane
  error: KafkaError
  atFault: readonly number[]
}

/** What came of one request to each leader. */
interface Round {
  trouble: KafkaError[]
  refused: RefusedBatch[]
}

export interface SendOptions {
  /** performance.now() until which leaders that move or are away are waited for; no request leaves later. */
  deadlineMs: number
  /** Asked about what no broker takes; without it that fails the whole. */
  onRefused?: OnRefused | undefined
}

/** Writes a set of batches to the leaders: one batch per partition at a time, leaders side by side. */
export class BatchProduce {
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
   * Resolves when all is written or left out. The same batch keeps its sequence number over all tries, so a copy is
   * recognised. Every request is over when this throws: KafkaError, or Refusal with what onRefused threw. A topic that is
   * unknown for half of the time there is counts as refused.
   */
  async send(
    identity: ProducerIdentity,
    partitions: readonly PartitionBatches[],
    { deadlineMs, onRefused }: SendOptions,
  ): Promise<WrittenOffsets> {
    const written: WrittenOffsets = new Map()
    let lanes: Lane[] = partitions.map(({ topic, partition, batches }) => ({ topic, partition, waiting: [...batches] }))
    for (const lane of lanes) this.#stamp(identity, lane)
    const backoff = new Backoff()
    const startedAtMs = performance.now()
    while (lanes.length > 0) {
      // Also before the first round: the process may have been frozen since the deadline was set.
      if (performance.now() > deadlineMs) throw KafkaError.named('REQUEST_TIMED_OUT', {}, 'no time is left to write')
      const { trouble, refused } = await this.#round(identity, lanes, deadlineMs, written)
      const hopeless = trouble.find((error) => !error.retriable)
      if (hopeless !== undefined) throw hopeless
      const patient = performance.now() < startedAtMs + (deadlineMs - startedAtMs) / 2
      const gone = patient ? [] : lanes.flatMap((lane) => unknownTopic(lane, trouble))
      for (const one of [...refused, ...gone]) {
        if (onRefused === undefined) throw one.error
        takeOut(one, onRefused)
        this.#stamp(identity, one.lane)
      }
      lanes = lanes.filter(({ waiting }) => waiting.length > 0)
      const [first] = trouble
      if (first === undefined || lanes.length === 0) continue
      const waitMs = backoff.next()
      if (performance.now() + waitMs > deadlineMs || !(await pause(waitMs, this.#client.closing))) throw first
      await this.#client.refreshMetadata().catch(() => undefined)
    }
    return written
  }

  /** One request to each leader, with the first batches of its partitions. */
  async #round(
    identity: ProducerIdentity,
    lanes: readonly Lane[],
    deadlineMs: number,
    written: WrittenOffsets,
  ): Promise<Round> {
    const round: Round = { trouble: [], refused: [] }
    const byLeader = new Map<number, Lane[]>()
    for (const lane of lanes) {
      const { topic, partition } = lane
      const leader = this.#client.leaderIdOf(topic, partition) ?? (await this.#findLeader(topic, partition, round))
      if (leader !== undefined) byLeader.set(leader, [...(byLeader.get(leader) ?? []), lane])
    }
    const requests = [...byLeader].map(async ([leader, theirs]) => {
      try {
        const now = fittingOneRequest(theirs, ({ waiting }) => waiting[0]!.bytes.length)
        const answered = await this.#request(identity, leader, now, deadlineMs)
        for (const answer of answered) this.#settle(answer, theirs, written, round)
      } catch (error) {
        const { transactionalId } = identity
        round.trouble.push(toKafkaError(error, true, transactionalId === null ? {} : { transactionalId }))
      }
    })
    await Promise.all(requests)
    return round
  }

  async #findLeader(topic: string, partition: number, { trouble }: Round): Promise<number | undefined> {
    try {
      await this.#client.leaderOf(topic, partition)
    } catch (error) {
      trouble.push(toKafkaError(error, false, { topic, partition }))
    }
    return this.#client.leaderIdOf(topic, partition)
  }

  async #request(
    { transactionalId }: ProducerIdentity,
    leader: number,
    lanes: readonly Lane[],
    deadlineMs: number,
  ): Promise<ProducedPartition[]> {
    const leftMs = Math.ceil(deadlineMs - performance.now())
    const request = produce({
      transactionalId,
      timeoutMs: Math.min(Math.max(leftMs, 1), MAX_SERVER_TIMEOUT_MS),
      batches: lanes.map(({ topic, partition, waiting }) => ({ topic, partition, bytes: waiting[0]!.bytes })),
    })
    const encode = (writer: WireWriter) => {
      // Connecting to the leader and logging in may have taken any time.
      if (performance.now() > deadlineMs) throw KafkaError.notSent('no time is left to write')
      request.encode(writer)
    }
    const broker = await this.#client.brokerWithId(leader)
    const { partitions } = await this.#client.send(broker, { ...request, encode })
    return partitions
  }

  #settle(answer: ProducedPartition, lanes: readonly Lane[], written: WrittenOffsets, round: Round): void {
    const { topic, partition, errorCode, errorMessage, baseOffset } = answer
    const lane = lanes.find((candidate) => candidate.topic === topic && candidate.partition === partition)
    const batch = lane?.waiting[0]
    if (lane === undefined || batch === undefined) {
      round.trouble.push(KafkaError.invalidAnswer('Produce answered for a partition not asked', { topic, partition }))
    } else if (errorCode !== 0) {
      const error = KafkaError.fromCode(errorCode, { topic, partition }, errorMessage)
      const atFault = answer.recordErrors.map(({ index }) => index)
      if (blamesRecords(error) || blamesTopic(error)) round.refused.push({ lane, error, atFault })
      else round.trouble.push(error)
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

  #stamp({ transactionalId, producerId, producerEpoch }: ProducerIdentity, { topic, partition, waiting }: Lane): void {
    const transactional = transactionalId !== null
    let sequence = this.#sequenceOf(topic, partition)
    for (const batch of waiting) {
      stampBatch(batch, { producerId, producerEpoch, sequence, transactional })
      sequence = advanceSequence(sequence, batch.recordCount)
    }
  }
}

/**
 * Leaves out what is at fault in the lane's first batch, or all of a lane whose topic takes nothing. A batch whose earlier
 * copy is in the log after all gives itself away: what follows it then has a sequence number the broker does not expect.
 */
function takeOut({ lane, error, atFault }: RefusedBatch, onRefused: OnRefused): void {
  const { topic, partition, waiting } = lane
  if (!blamesRecords(error)) {
    const records = waiting.splice(0).flatMap(recordsOf)
    return refuse(onRefused, { topic, partition, records, error })
  }
  const batch = waiting.shift()!
  const { bad, parts } = singleOut(batch, error, atFault)
  waiting.unshift(...parts.map((part) => batchOf(part, compressionOf(batch))))
  refuse(onRefused, { topic, partition, records: bad, error })
}

function unknownTopic(lane: Lane, trouble: readonly KafkaError[]): RefusedBatch[] {
  const error = trouble.find(
    ({ name, concerns }) =>
      name === 'UNKNOWN_TOPIC_OR_PARTITION' && concerns.topic === lane.topic && concerns.partition === lane.partition,
  )
  return error === undefined ? [] : [{ lane, error, atFault: [] }]
}
