import type { KafkaClient } from './client.js'
import { KafkaError, failOn, isKafkaError, toKafkaError } from './errors.js'
import { BatchProduce, type WrittenOffsets } from './batch-produce.js'
import { CONCURRENT, retryingRefusals, type PatienceOptions } from './coordinator-requests.js'
import type { PartitionBatches, RecordAccumulator } from './records/encode.js'
import { blamesTopic, Refusal, refuseAll, type OnRefused } from './refused-records.js'
import type { ApiRequest } from './protocol/api-request.js'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  initProducerId,
  txnOffsetCommit,
  type GroupStanding,
  type PartitionErrors,
  type TransactionalIdentity,
  type TransactionalOffset,
} from './protocol/transactions.js'
import { Backoff, pause } from './retry.js'

export type { WrittenOffsets } from './batch-produce.js'

/**
 * - uninitialised: before the first init(), and while one runs
 * - ready: no transaction
 * - open: something was added to a transaction
 * - failed: an error left the broker's view of it in doubt: only end('abort') and init() are allowed
 */
type State = 'uninitialised' | 'ready' | 'open' | 'failed'

/** An init that waits longer than this is worth a line in the log. */
const PATIENCE_BEFORE_LOG_MS = 5000
const FENCE_TIMEOUT_MS = 10_000

/**
 * The steps of one transaction, fenced by the epoch of its transactional id and by the group's generation. No policy: the
 * caller numbers the steps, calls them one after the other, and after any error rolls back.
 *
 * What is retried here is only what a broker has refused in so many words (leaders and coordinators that moved or load,
 * CONCURRENT_TRANSACTIONS), until the transaction's timeout. A request whose answer was lost is not sent again: with the
 * broker's classic transactions a late first copy of it could reach the NEXT transaction, which has the same epoch, and end it
 * early or overwrite its offsets (KIP-890). It throws with `outcomeUnknown`; init() then fences such copies. Records are the
 * exception: their sequence numbers make a copy harmless.
 *
 * Errors: `fenced`: somebody else has taken over (or the broker has aborted for the timeout); `retriable`: Kafka was away for
 * longer than the transaction may take; `fatal`: these records or this request will never be accepted; `outcomeUnknown` on
 * end('commit'): the transaction may be committed. After each: init(), and look at the committed offsets.
 */
export class TransactionalProducer {
  readonly #client: KafkaClient
  readonly #transactionalId: string
  readonly #timeoutMs: number
  readonly #produce: BatchProduce
  #state: State = 'uninitialised'
  #identity: TransactionalIdentity | undefined
  #deadlineMs = 0
  #addedPartitions = new Map<string, Set<number>>()
  #addedGroups = new Set<string>()

  constructor(client: KafkaClient, options: { transactionalId: string; transactionTimeoutMs: number }) {
    this.#client = client
    this.#transactionalId = options.transactionalId
    this.#timeoutMs = options.transactionTimeoutMs
    this.#produce = new BatchProduce(client)
  }

  /** Whether something was added to a transaction that is not ended yet. */
  get inTransaction(): boolean {
    return this.#state === 'open' || this.#state === 'failed'
  }

  /**
   * Takes the transactional id over: aborts what was left open, fences every former owner and every request still on its way,
   * and starts sequences at 0. Waits out a prepared commit and brokers that are away, until the client is closed or `signal`
   * is aborted; the last error is thrown then.
   */
  async init({ signal = this.#client.closing }: { signal?: AbortSignal } = {}): Promise<void> {
    this.#state = 'uninitialised'
    this.#forgetTransaction()
    const taken = await takeOver(this.#client, this.#transactionalId, this.#timeoutMs, signal)
    this.#identity = { transactionalId: this.#transactionalId, ...taken }
    this.#produce.reset()
    this.#state = 'ready'
  }

  /** Fences a transactional id that belongs to somebody who is gone, and frees the last stable offset it may hold. */
  static async fence(client: KafkaClient, transactionalId: string, signal = client.closing): Promise<void> {
    await takeOver(client, transactionalId, FENCE_TIMEOUT_MS, signal)
  }

  /**
   * Writes records as part of the transaction, acks=all, batches of one partition in order. Returns for each partition the
   * offset after its last record.
   * @param onRefused asked about records that Kafka will never take; the transaction goes on without them. What it throws,
   *   this throws. Without it they fail the transaction.
   */
  async produce(records: RecordAccumulator, onRefused?: OnRefused): Promise<WrittenOffsets> {
    const identity = this.#enter()
    const partitions = records.seal()
    if (partitions.length === 0) return new Map()
    return this.#step(async () => {
      const accepted = await this.#addPartitions(identity, partitions, onRefused)
      return this.#produce.send(identity, accepted, { deadlineMs: this.#deadlineMs, onRefused })
    })
  }

  /**
   * Commits offsets as part of the transaction, if the group still has this member in this generation: ILLEGAL_GENERATION or
   * UNKNOWN_MEMBER_ID (both `fenced`) otherwise.
   */
  async sendOffsets(group: GroupStanding, offsets: readonly TransactionalOffset[]): Promise<void> {
    const identity = this.#enter()
    const { groupId } = group
    await this.#step(async () => {
      if (!this.#addedGroups.has(groupId)) {
        await this.#askTransactionCoordinator(addOffsetsToTxn(identity, groupId), (answer) =>
          failOn(answer.errorCode, { groupId, transactionalId: this.#transactionalId }),
        )
        this.#addedGroups.add(groupId)
      }
      await this.#ask('group', groupId, txnOffsetCommit(identity, group, offsets), ({ partitions }) => {
        for (const { topic, partition, errorCode } of partitions) failOn(errorCode, { groupId, topic, partition })
      })
    })
  }

  /** Ends the transaction. Without one there is nothing to do. After a failure only 'abort' is left, and init() after it. */
  async end(outcome: 'commit' | 'abort'): Promise<void> {
    if (this.#state === 'ready') return
    if (this.#state !== 'open' && !(this.#state === 'failed' && outcome === 'abort')) throw this.#wrongState()
    const failed = this.#state === 'failed'
    const identity = this.#identity!
    // A refusal may come after the decision was written (the coordinator lost its leadership in between): from the second
    // try on, an error says nothing about the outcome.
    let undecided = false
    await this.#step(async () => {
      try {
        await this.#askTransactionCoordinator(endTxn(identity, outcome === 'commit'), ({ errorCode }) => {
          try {
            failOn(errorCode, { transactionalId: this.#transactionalId })
          } catch (error) {
            undecided ||= error instanceof KafkaError && error.retriable
            throw error
          }
        })
      } catch (error) {
        throw undecided && error instanceof KafkaError ? error.withOutcomeUnknown() : error
      }
    })
    this.#forgetTransaction()
    this.#state = failed ? 'failed' : 'ready'
  }

  #enter(): TransactionalIdentity {
    if (this.#identity === undefined || (this.#state !== 'ready' && this.#state !== 'open')) throw this.#wrongState()
    if (this.#state === 'ready') {
      this.#deadlineMs = performance.now() + this.#timeoutMs
      this.#state = 'open'
    }
    return this.#identity
  }

  #wrongState(): KafkaError {
    const concerns = { transactionalId: this.#transactionalId }
    return KafkaError.named('INVALID_TXN_STATE', concerns, `${this.#state}: init() comes first`)
  }

  async #step<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      this.#state = 'failed'
      if (error instanceof Refusal) throw error.reason
      throw toKafkaError(error, true, { transactionalId: this.#transactionalId })
    }
  }

  #forgetTransaction(): void {
    this.#addedPartitions = new Map()
    this.#addedGroups = new Set()
  }

  /** Returns those that are part of the transaction now; the others were refused with their whole topic. */
  async #addPartitions(
    identity: TransactionalIdentity,
    partitions: readonly PartitionBatches[],
    onRefused: OnRefused | undefined,
  ): Promise<readonly PartitionBatches[]> {
    // A topic that is not known for so long is not there any more.
    const goneAtMs = (performance.now() + this.#deadlineMs) / 2
    const soonerMs = (error: KafkaError) => (isUnknownTopic(error) ? goneAtMs : undefined)
    let accepted = partitions
    for (;;) {
      try {
        await this.#addAll(identity, accepted, onRefused === undefined ? {} : { soonerMs })
        return accepted
      } catch (cause) {
        const error = toKafkaError(cause, true)
        const refused = accepted.filter(({ topic }) => topic === error.concerns.topic)
        const hopeless = blamesTopic(error) || isUnknownTopic(error)
        if (onRefused === undefined || !hopeless || refused.length === 0) throw error
        refuseAll(onRefused, refused, error)
        accepted = accepted.filter((one) => !refused.includes(one))
      }
    }
  }

  async #addAll(
    identity: TransactionalIdentity,
    partitions: readonly PartitionBatches[],
    patience: Pick<PatienceOptions, 'soonerMs'>,
  ): Promise<void> {
    const fresh = new Map<string, number[]>()
    for (const { topic, partition } of partitions) {
      if (this.#addedPartitions.get(topic)?.has(partition)) continue
      fresh.set(topic, [...(fresh.get(topic) ?? []), partition])
    }
    if (fresh.size === 0) return
    const check = (answer: PartitionErrors) => {
      // One partition's error leaves the others not attempted: report the cause.
      const failed = answer.partitions.filter(({ errorCode }) => errorCode !== 0)
      const { errorCode, topic, partition } =
        failed.find((entry) => entry.errorCode !== OPERATION_NOT_ATTEMPTED) ?? failed[0] ?? NO_ERROR
      failOn(errorCode, { topic, partition })
    }
    await this.#askTransactionCoordinator(addPartitionsToTxn(identity, fresh), check, patience)
    for (const [topic, numbers] of fresh) {
      this.#addedPartitions.set(topic, new Set([...(this.#addedPartitions.get(topic) ?? []), ...numbers]))
    }
  }

  #askTransactionCoordinator<T>(
    request: ApiRequest<T>,
    check: (answer: T) => void,
    patience: Pick<PatienceOptions, 'soonerMs'> = {},
  ): Promise<void> {
    return this.#ask('transaction', this.#transactionalId, request, check, patience)
  }

  async #ask<T>(
    kind: 'group' | 'transaction',
    key: string,
    request: ApiRequest<T>,
    check: (answer: T) => void,
    patience: Pick<PatienceOptions, 'soonerMs'> = {},
  ): Promise<void> {
    const concerns = { transactionalId: this.#transactionalId }
    const options = { deadlineMs: this.#deadlineMs, ...patience }
    await retryingRefusals(this.#client, { kind, key, concerns }, options, async () => {
      check(await this.#client.send(await this.#client.coordinatorOf(kind, key), request, concerns))
    })
  }
}

const OPERATION_NOT_ATTEMPTED = 55
const NO_ERROR = { errorCode: 0, topic: '', partition: 0 }

function isUnknownTopic(error: KafkaError): boolean {
  return error.name === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** InitProducerId until it is granted: asking twice does no harm, so a lost answer is asked for again. */
async function takeOver(
  client: KafkaClient,
  transactionalId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ producerId: bigint; producerEpoch: number }> {
  const concerns = { transactionalId }
  const concurrent = new Backoff(CONCURRENT)
  const away = new Backoff()
  const startMs = performance.now()
  let reported = false
  for (;;) {
    try {
      const coordinator = await client.coordinatorOf('transaction', transactionalId)
      const answer = await client.send(coordinator, initProducerId(transactionalId, timeoutMs), concerns)
      failOn(answer.errorCode, concerns)
      const waitedMs = Math.round(performance.now() - startMs)
      if (reported) client.log.info({ ...concerns, waitedMs }, 'transactional id is ours')
      return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    } catch (cause) {
      const error = toKafkaError(cause, true, concerns)
      // Two InitProducerId of one id at the same time: the older is told that it is fenced; the younger one wins.
      const again = error.retriable || isKafkaError(error, 'INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED')
      const busy = error.name === 'CONCURRENT_TRANSACTIONS'
      if (!busy) client.forgetCoordinator('transaction', transactionalId)
      if (!again || !(await pause(busy ? concurrent.next() : away.next(), signal))) throw error
      if (!reported && performance.now() - startMs > PATIENCE_BEFORE_LOG_MS) {
        reported = true
        client.log.warn({ ...concerns, error: error.message }, 'waiting for the transactional id')
      }
    }
  }
}
