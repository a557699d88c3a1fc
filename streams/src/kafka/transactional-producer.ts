import type { KafkaClient } from './client.js'
import { KafkaError, failOn, isKafkaError, toKafkaError, type Concerns } from './errors.js'
import { TransactionalProduce, type WrittenOffsets } from './transactional-produce.js'
import type { RecordAccumulator } from './records/encode.js'
import type { ApiRequest } from './protocol/api-request.js'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  initProducerId,
  txnOffsetCommit,
  type GroupStanding,
  type TransactionalIdentity,
  type TransactionalOffset,
} from './protocol/transactions.js'
import { Backoff, pause } from './retry.js'

export type { WrittenOffsets } from './transactional-produce.js'

/**
 * - uninitialised: before the first init(), and while one runs
 * - ready: no transaction
 * - open: something was added to a transaction
 * - failed: an error left the broker's view of it in doubt: only end('abort') and init() are allowed
 */
type State = 'uninitialised' | 'ready' | 'open' | 'failed'

/** While the transaction before is still being written to its partitions, a few milliseconds are all it takes. */
const CONCURRENT_FIRST_MS = 2
const CONCURRENT_MOST_MS = 100
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
  readonly #produce: TransactionalProduce
  #state: State = 'uninitialised'
  #identity: TransactionalIdentity | undefined
  #deadlineMs = 0
  #addedPartitions = new Map<string, Set<number>>()
  #addedGroups = new Set<string>()

  constructor(client: KafkaClient, options: { transactionalId: string; transactionTimeoutMs: number }) {
    this.#client = client
    this.#transactionalId = options.transactionalId
    this.#timeoutMs = options.transactionTimeoutMs
    this.#produce = new TransactionalProduce(client)
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
   */
  async produce(records: RecordAccumulator): Promise<WrittenOffsets> {
    const identity = this.#enter()
    const partitions = records.seal()
    if (partitions.length === 0) return new Map()
    return this.#step(async () => {
      await this.#addPartitions(identity, records.partitions)
      return this.#produce.send(identity, partitions, this.#deadlineMs)
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
      throw toKafkaError(error, true, { transactionalId: this.#transactionalId })
    }
  }

  #forgetTransaction(): void {
    this.#addedPartitions = new Map()
    this.#addedGroups = new Set()
  }

  async #addPartitions(identity: TransactionalIdentity, partitions: Map<string, number[]>): Promise<void> {
    const fresh = new Map<string, number[]>()
    for (const [topic, numbers] of partitions) {
      const added = this.#addedPartitions.get(topic)
      const missing = added === undefined ? numbers : numbers.filter((partition) => !added.has(partition))
      if (missing.length > 0) fresh.set(topic, missing)
    }
    if (fresh.size === 0) return
    await this.#askTransactionCoordinator(addPartitionsToTxn(identity, fresh), (answer) => {
      // One partition's error leaves the others not attempted: report the cause.
      const failed = answer.partitions.filter(({ errorCode }) => errorCode !== 0)
      const { errorCode, topic, partition } =
        failed.find((entry) => entry.errorCode !== OPERATION_NOT_ATTEMPTED) ?? failed[0] ?? NO_ERROR
      failOn(errorCode, { topic, partition })
    })
    for (const [topic, numbers] of fresh) {
      this.#addedPartitions.set(topic, new Set([...(this.#addedPartitions.get(topic) ?? []), ...numbers]))
    }
  }

  #askTransactionCoordinator<T>(request: ApiRequest<T>, check: (answer: T) => void): Promise<void> {
    return this.#ask('transaction', this.#transactionalId, request, check)
  }

  async #ask<T>(
    kind: 'group' | 'transaction',
    key: string,
    request: ApiRequest<T>,
    check: (answer: T) => void,
  ): Promise<void> {
    const concerns = { transactionalId: this.#transactionalId }
    await retryingRefusals(this.#client, { kind, key, concerns }, this.#deadlineMs, async () => {
      check(await this.#client.send(await this.#client.coordinatorOf(kind, key), request, concerns))
    })
  }
}

const OPERATION_NOT_ATTEMPTED = 55
const NO_ERROR = { errorCode: 0, topic: '', partition: 0 }

interface Coordinated {
  kind: 'group' | 'transaction'
  key: string
  concerns: Concerns
}

/** Repeats what was refused for now, finding the coordinator anew, until the deadline. A lost answer is thrown at once. */
async function retryingRefusals(
  client: KafkaClient,
  { kind, key, concerns }: Coordinated,
  deadlineMs: number,
  attempt: () => Promise<void>,
): Promise<void> {
  const concurrent = new Backoff({ firstMs: CONCURRENT_FIRST_MS, mostMs: CONCURRENT_MOST_MS })
  const moved = new Backoff()
  for (;;) {
    try {
      await attempt()
      return
    } catch (cause) {
      const error = toKafkaError(cause, true, concerns)
      const busy = error.name === 'CONCURRENT_TRANSACTIONS'
      if (!busy && error.retriable) client.forgetCoordinator(kind, key)
      const waitMs = busy ? concurrent.next() : moved.next()
      if (!error.retriable || error.outcomeUnknown || performance.now() + waitMs > deadlineMs) throw error
      if (!(await pause(waitMs, client.closing))) throw error
    }
  }
}

/** InitProducerId until it is granted: asking twice does no harm, so a lost answer is asked for again. */
async function takeOver(
  client: KafkaClient,
  transactionalId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ producerId: bigint; producerEpoch: number }> {
  const concerns = { transactionalId }
  const concurrent = new Backoff({ firstMs: CONCURRENT_FIRST_MS, mostMs: CONCURRENT_MOST_MS })
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
