import { BatchProduce, type ProducerIdentity, type WrittenOffsets } from './batch-produce.js'
import type { KafkaClient } from './client.js'
import { retryingRefusals } from './coordinator-requests.js'
import { KafkaError, failOn, toKafkaError } from './errors.js'
import { acquireStanding, nextEpoch } from './producer-id.js'
import { offsetCommitRequest, type OffsetToCommit } from './protocol/offset-commit.js'
import type { GroupStanding } from './protocol/transactions.js'
import type { RecordAccumulator } from './records/encode.js'
import { Refusal, type OnRefused } from './refused-records.js'
import { TransactionalProducer } from './transactional-producer.js'

export interface AtLeastOnceProducerOptions {
  /** Under which this process would write exactly once: what it or its predecessor left open so is ended at the start. */
  transactionalId: string
  /** How long the records of one commit, and then its offsets, are tried for. */
  timeoutMs: number
  /** performance.now() until which nobody else can have been given our partitions. */
  ownedUntilMs(): number
}

/**
 * The steps of a commit without a transaction: records are visible once they are written, offsets once they are committed.
 * Whoever fails in between finds the records written and the offsets not, and writes again what follows from them.
 *
 * Nothing fences the records themselves from a process that was replaced: they are not sent once the lease of the last
 * heartbeat has run out. That is looked at last when the connection is open and logged in, right before it is given the
 * request. So what can still be written late is what a process freezes on in the microseconds after that look, and what the
 * connection holds back because the broker has asked this client to slow down (KIP-219). Offsets are fenced by the broker.
 * After a failure the epoch goes up: a request of before, still on its way, is refused by each partition that has got a
 * record of the new epoch, so an older state never lands on a newer one.
 */
export class AtLeastOnceProducer {
  readonly #client: KafkaClient
  readonly #options: AtLeastOnceProducerOptions
  readonly #batches: BatchProduce
  #identity: ProducerIdentity | undefined

  constructor(client: KafkaClient, options: AtLeastOnceProducerOptions) {
    this.#client = client
    this.#options = options
    this.#batches = new BatchProduce(client)
  }

  /** Before the first commit and after each failure. Waits out brokers that are away, until `signal` is aborted. */
  async init({ signal = this.#client.closing }: { signal?: AbortSignal } = {}): Promise<void> {
    const former = this.#identity
    this.#batches.reset()
    if (former === undefined) await TransactionalProducer.fence(this.#client, this.#options.transactionalId, signal)
    const standing = (former && nextEpoch(former)) ?? (await acquireStanding(this.#client, signal))
    this.#identity = { transactionalId: null, ...standing }
  }

  /**
   * Writes records, acks=all, batches of one partition in order. Returns for each partition the offset after its last
   * record.
   * @param onRefused as for TransactionalProducer.produce()
   */
  async produce(records: RecordAccumulator, onRefused?: OnRefused): Promise<WrittenOffsets> {
    const identity = this.#identity
    if (identity === undefined) throw KafkaError.named('INVALID_TXN_STATE', {}, 'init() comes first')
    const partitions = records.seal()
    if (partitions.length === 0) return new Map()
    const ownedUntilMs = this.#options.ownedUntilMs()
    const nowMs = performance.now()
    if (nowMs > ownedUntilMs) throw KafkaError.named('UNKNOWN_MEMBER_ID', {}, 'no heartbeat was answered for too long')
    try {
      const deadlineMs = Math.min(nowMs + this.#options.timeoutMs, ownedUntilMs)
      return await this.#batches.send(identity, partitions, { deadlineMs, onRefused })
    } catch (error) {
      if (error instanceof Refusal) throw error.reason
      throw toKafkaError(error, true)
    }
  }

  /** Commits offsets, if the group still has this member in this generation; a lost answer is asked for again. */
  async sendOffsets(
    { groupId, generationId, memberId }: GroupStanding,
    offsets: readonly OffsetToCommit[],
  ): Promise<void> {
    const request = offsetCommitRequest({ groupId, generationId, memberId, offsets })
    const deadlineMs = performance.now() + this.#options.timeoutMs
    const about = { kind: 'group', key: groupId, concerns: { groupId } } as const
    await retryingRefusals(this.#client, about, { deadlineMs, repeatLost: true }, async () => {
      const answers = await this.#client.send(await this.#client.coordinatorOf('group', groupId), request)
      for (const { topic, partition, errorCode } of answers) failOn(errorCode, { groupId, topic, partition })
    })
  }

  /** There is nothing left to do: what was written and committed is visible already. */
  async end(): Promise<void> {}
}
