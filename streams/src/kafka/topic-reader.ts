import { KafkaAdmin } from './admin.js'
import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { FetchedChunk, IsolationLevel } from './fetched-chunk.js'
import { Fetcher, type FetchPosition } from './fetcher.js'
import { peekNextOffset } from './records/decode.js'
import { Backoff, pause } from './retry.js'

/** What is read from where, and what becomes of it. */
export interface TopicReaderOptions {
  topics: readonly string[]
  startAt: 'earliest' | 'latest'
  isolation: IsolationLevel
  /** Default 32 MiB; see Fetcher. */
  maxBufferedBytes?: number
  /** Chunks with records, one at a time, those of one partition in order. What it throws is logged; reading goes on. */
  onChunk(chunk: FetchedChunk): void | Promise<void>
  log: KafkaLog
}

interface Goal {
  ends: Map<string, number>
  reached(): void
}

const POLL_MS = 1000

/** Follows all partitions of topics without a group, for ever. Leaders that move and brokers that restart heal. */
export class TopicReader {
  readonly #client: KafkaClient
  readonly #admin: KafkaAdmin
  readonly #options: TopicReaderOptions
  readonly #fetcher: Fetcher
  readonly #stop = new AbortController()
  /** The next offset to hand to onChunk, by `topic-partition`. */
  readonly #positions = new Map<string, number>()
  readonly #goals = new Set<Goal>()
  #starting: Promise<void> | undefined
  #reading: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(client: KafkaClient, options: TopicReaderOptions) {
    const { isolation, log, maxBufferedBytes } = options
    this.#client = client
    this.#admin = new KafkaAdmin(client)
    this.#options = options
    this.#fetcher = new Fetcher(client, {
      isolation,
      log,
      ...(maxBufferedBytes === undefined ? {} : { maxBufferedBytes }),
    })
  }

  /**
   * Resolves when the first positions are known and reading has begun; waits while Kafka is away.
   * @throws KafkaError that does not heal, e.g. missing rights
   */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Resolves when everything up to the end of the topics as they are now was handed to onChunk, or at close(). */
  async caughtUp(): Promise<void> {
    await this.start()
    const found = await this.#untilFound(this.#options.isolation, 'latest')
    const ends = new Map(found.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
    await new Promise<void>((reached) => {
      this.#goals.add({ ends, reached })
      if (this.#closing !== undefined) reached()
      this.#checkGoals()
    })
  }

  /** Ends reading; whoever waits for caughtUp() waits no longer. Memoised. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    await this.#fetcher.close()
    await this.#starting?.catch(() => undefined)
    await this.#reading
    for (const { reached } of this.#goals) reached()
  }

  async #start(): Promise<void> {
    const positions = await this.#untilFound(this.#options.isolation, this.#options.startAt)
    if (this.#stop.signal.aborted) return
    for (const { topic, partition, offset } of positions) this.#positions.set(`${topic}-${partition}`, offset)
    this.#fetcher.assign(positions)
    this.#reading = this.#read()
  }

  async #read(): Promise<void> {
    const { log, onChunk } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        const chunk = await this.#fetcher.poll(POLL_MS)
        if (chunk?.records == null) continue
        try {
          await onChunk(chunk)
        } catch (error) {
          const { topic, partition, fetchOffset } = chunk
          log.error({ err: error, topic, partition, fetchOffset }, 'a chunk could not be taken in, reading on')
        }
        this.#positions.set(`${chunk.topic}-${chunk.partition}`, peekNextOffset(chunk))
        this.#checkGoals()
      } catch (error) {
        await this.#restart(error)
      }
    }
  }

  /** The partition that poll() gave up begins anew at startAt: what a follower missed while it was away is gone. */
  async #restart(cause: unknown): Promise<void> {
    const error = toKafkaError(cause, true)
    const { topic, partition } = error.concerns
    this.#options.log.error({ error: error.message, topic, partition }, 'reading from the start position again')
    const backoff = new Backoff({ firstMs: 1000, mostMs: 10_000 })
    while (!this.#stop.signal.aborted) {
      await pause(backoff.next(), this.#stop.signal)
      const positions = await this.#untilFound(this.#options.isolation, this.#options.startAt).catch(() => undefined)
      if (positions === undefined || this.#stop.signal.aborted) continue
      const concerned = positions.filter(
        (at) => topic === undefined || (at.topic === topic && at.partition === partition),
      )
      for (const at of concerned) this.#positions.set(`${at.topic}-${at.partition}`, at.offset)
      this.#fetcher.assign(concerned)
      this.#checkGoals()
      return
    }
  }

  #checkGoals(): void {
    for (const goal of this.#goals) {
      const reached = [...goal.ends].every(([key, end]) => (this.#positions.get(key) ?? 0) >= end)
      if (!reached) continue
      this.#goals.delete(goal)
      goal.reached()
    }
  }

  async #untilFound(isolation: IsolationLevel, at: 'earliest' | 'latest'): Promise<FetchPosition[]> {
    const backoff = new Backoff({ firstMs: 100, mostMs: 2000 })
    let failing = false
    while (!this.#stop.signal.aborted) {
      try {
        return await this.#find(isolation, at)
      } catch (cause) {
        const error = toKafkaError(cause, true)
        if (!(error instanceof KafkaError) || error.kind !== 'retriable') throw error
        if (!failing) this.#options.log.warn({ error: error.message }, 'topics cannot be read yet, retrying')
        failing = true
        await pause(backoff.next(), this.#stop.signal)
        await this.#client.refreshMetadata().catch(() => undefined)
      }
    }
    return []
  }

  async #find(isolation: IsolationLevel, at: 'earliest' | 'latest'): Promise<FetchPosition[]> {
    const { topics } = this.#options
    await this.#client.connect()
    await this.#client.watchTopics(topics)
    const found: FetchPosition[] = []
    for (const topic of topics) {
      const partitions = Array.from({ length: this.#client.partitionCount(topic) }, (_, partition) => partition)
      const offsets = await this.#admin.listOffsets(topic, partitions, at, isolation)
      for (const [partition, offset] of offsets) found.push({ topic, partition, offset })
    }
    return found
  }
}
