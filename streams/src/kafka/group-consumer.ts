import { balancedAssignor } from './balanced-assignor.js'
import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError } from './errors.js'
import type { FetchedChunk, IsolationLevel } from './fetched-chunk.js'
import { Fetcher } from './fetcher.js'
import { GroupMember } from './group-member.js'
import { GroupSession } from './group-session.js'
import { Backoff, pause } from './retry.js'

/** What is read, as whom, and what becomes of it. */
export interface GroupConsumerOptions {
  groupId: string
  topics: readonly string[]
  /** Where a partition begins for which the group has no committed offset. */
  startAt: 'earliest' | 'latest'
  isolation: IsolationLevel
  /** How many partitions are handled at the same time. Default 8. */
  maxConcurrentPartitions?: number
  /** Default 32 MiB; see Fetcher. */
  maxBufferedBytes?: number
  /** Default 10,000. */
  sessionTimeoutMs?: number
  /** Default 20,000. Half of it is what handle() has left to finish when the group rebalances. */
  rebalanceTimeoutMs?: number
  /** Offsets are committed this long after the first chunk that was handled since. Default 200. */
  commitIntervalMs?: number
  /**
   * Resolves when the chunk's effects are durable; its offsets are committed after that and never before. Chunks of one
   * partition come in order and one after the other, several partitions at the same time. A chunk may come again (after a
   * crash, a rebalance, a rejection), so effects must bear repetition. To reject means: again from the same offset, after
   * a pause of up to 5 s, for ever. `signal` is aborted when the partition is lost or time is up: stop soon.
   */
  handle(chunk: FetchedChunk, signal: AbortSignal): Promise<void>
  /** The number of offsets not yet handled, whenever it was learned anew. */
  onLag?(topic: string, partition: number, lag: number): void
  log: KafkaLog
}

/**
 * A plain consumer group for sinks: partitions are balanced over the members and every record is handled at least once.
 *
 * One generation of the group is one GroupSession; this class joins, runs the session, and joins again. Kafka being away
 * costs lag, never data: offsets are committed only for what handle() has finished.
 */
export class GroupConsumer {
  readonly #client: KafkaClient
  readonly #options: GroupConsumerOptions
  readonly #fetcher: Fetcher
  readonly #member: GroupMember
  readonly #stop = new AbortController()
  /** handle() calls that outlived their session, by partition: the next chunk of it waits for them. */
  readonly #stragglers = new Map<string, Promise<void>>()
  #session: GroupSession | undefined
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(client: KafkaClient, options: GroupConsumerOptions) {
    const { groupId, topics, isolation, log, maxBufferedBytes } = options
    this.#client = client
    this.#options = options
    this.#fetcher = new Fetcher(client, {
      isolation,
      log,
      ...(maxBufferedBytes === undefined ? {} : { maxBufferedBytes }),
    })
    this.#member = new GroupMember(client, {
      groupId,
      topics,
      assignor: balancedAssignor(() => this.#partitionCounts()),
      sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
      rebalanceTimeoutMs: this.#rebalanceTimeoutMs,
      heartbeatIntervalMs: 1000,
      log,
    })
    this.#member.onChange = (state) => this.#session?.memberChanged(state)
  }

  /**
   * Joins the group and handles its records until close().
   * @throws KafkaError of kind `fatal`, e.g. missing rights
   */
  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Offsets not yet handled, by `topic-partition`, of the partitions that are ours. */
  lag(): ReadonlyMap<string, number> {
    return this.#session?.lags() ?? new Map()
  }

  /** Finishes what has begun (for at most half the rebalance timeout), commits it, leaves the group. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #rebalanceTimeoutMs(): number {
    return this.#options.rebalanceTimeoutMs ?? 20_000
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    this.#session?.end()
    if (this.#session === undefined) await this.#member.leave()
    await this.#running?.catch(() => undefined)
    await this.#member.leave()
    await this.#member.close()
    await this.#fetcher.close()
  }

  async #run(): Promise<void> {
    const { topics, groupId, log } = this.#options
    const backoff = new Backoff({ firstMs: 100, mostMs: 2000 })
    let failing = false
    while (!this.#stop.signal.aborted) {
      try {
        await this.#client.connect()
        await this.#client.watchTopics(topics)
        const generation = await this.#member.join()
        if (failing) log.info({ groupId }, 'consuming again')
        failing = false
        backoff.reset()
        this.#session = new GroupSession(generation, {
          ...this.#options,
          client: this.#client,
          fetcher: this.#fetcher,
          member: this.#member,
          stragglers: this.#stragglers,
          maxConcurrentPartitions: this.#options.maxConcurrentPartitions ?? 8,
          commitIntervalMs: this.#options.commitIntervalMs ?? 200,
          drainMs: this.#rebalanceTimeoutMs / 2,
        })
        if (this.#stop.signal.aborted) this.#session.end()
        await this.#session.run()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!(error instanceof KafkaError) || error.kind !== 'retriable') throw error
        if (!failing) log.warn({ groupId, error: error.message }, 'consuming is interrupted, retrying')
        failing = true
        await pause(backoff.next(), this.#stop.signal)
      } finally {
        this.#session = undefined
        this.#fetcher.unassignAll()
      }
    }
  }

  async #partitionCounts(): Promise<Map<string, number>> {
    await this.#client.refreshMetadata()
    return new Map(this.#options.topics.map((topic) => [topic, this.#client.partitionCount(topic)]))
  }
}
