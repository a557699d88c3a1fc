import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { FetchedChunk, IsolationLevel } from './fetched-chunk.js'
import type { Fetcher } from './fetcher.js'
import type { GroupGeneration, GroupMember, GroupMemberState } from './group-member.js'
import { GroupOffsets } from './group-offsets.js'
import { peekNextOffset } from './records/decode.js'
import { Backoff, pause } from './retry.js'

export interface GroupSessionOptions {
  groupId: string
  startAt: 'earliest' | 'latest'
  isolation: IsolationLevel
  maxConcurrentPartitions: number
  commitIntervalMs: number
  /** How long handle() may go on after the session's end before its signal is aborted. */
  drainMs: number
  handle(chunk: FetchedChunk, signal: AbortSignal): Promise<void>
  onLag?(topic: string, partition: number, lag: number): void
  log: KafkaLog
  client: KafkaClient
  fetcher: Fetcher
  member: GroupMember
  stragglers: Map<string, Promise<void>>
}

const POLL_MS = 1000

/**
 * What a group consumer does within one generation of its group:
 *   1. read the committed offsets and fetch from there;
 *   2. hand chunks to handle(), commit what it finished;
 *   3. when the group rebalances (or end() is called): no new chunks, running handle() calls get drainMs, then their
 *      signal is aborted;
 *   4. commit what was finished, still with this generation: the coordinator accepts that until the next one begins.
 * A crash anywhere, and a member that was expelled, leave the committed offsets where they were: the next owner handles
 * the rest again. An expelled member aborts at once and commits nothing; had it not noticed, the coordinator would refuse.
 */
export class GroupSession {
  readonly #options: GroupSessionOptions
  readonly #offsets: GroupOffsets
  /** No new chunks. */
  readonly #end = new AbortController()
  /** Time is up for handle(), or the partitions are no longer ours. */
  readonly #abort = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  readonly #failing = new Set<string>()
  #expelled = false
  #fatal: KafkaError | undefined
  #wakeWaiter: (() => void) | undefined
  #commitTimer: NodeJS.Timeout | undefined
  #committing: Promise<void> | undefined

  constructor(generation: GroupGeneration, options: GroupSessionOptions) {
    this.#options = options
    const { client, groupId, isolation, startAt, log } = options
    this.#offsets = new GroupOffsets(client, generation, { groupId, isolation, startAt, log })
  }

  /** No new chunks from now on. */
  end(): void {
    this.#end.abort()
    this.#options.fetcher.wake()
    this.#wakeWaiter?.()
  }

  memberChanged(state: GroupMemberState): void {
    if (state === 'lost') this.#expel()
    else if (state !== 'stable') this.end()
  }

  lags(): ReadonlyMap<string, number> {
    return this.#offsets.lags()
  }

  /**
   * Resolves when the session is over and its last commit is done or refused.
   * @throws KafkaError if Kafka refuses for good
   */
  async run(): Promise<void> {
    const { fetcher, member } = this.#options
    this.memberChanged(member.state)
    await this.#offsets.load(this.#end.signal)
    if (!this.#end.signal.aborted) fetcher.assign(this.#offsets.positions())
    this.#commitSoon()
    try {
      while (!this.#end.signal.aborted) await this.#step()
    } finally {
      fetcher.unassignAll()
      await this.#drain()
      await this.#commitRest()
    }
    if (this.#fatal !== undefined) throw this.#fatal
  }

  async #step(): Promise<void> {
    const { fetcher, maxConcurrentPartitions } = this.#options
    if (this.#running.size >= maxConcurrentPartitions) return await this.#untilWoken()
    const chunk = await this.#poll()
    if (chunk === undefined || this.#end.signal.aborted) return
    const { topic, partition } = chunk
    this.#offsets.watermark(topic, partition, chunk.highWatermark)
    if (chunk.records !== null) {
      fetcher.pause(topic, partition)
      this.#start(chunk)
    }
    this.#reportLag(topic, partition)
  }

  /** A position that the log does not have: retention was faster than we, or the topic was made anew. */
  async #poll(): Promise<FetchedChunk | undefined> {
    const { fetcher } = this.#options
    try {
      return await fetcher.poll(POLL_MS)
    } catch (error) {
      const { topic, partition } = error instanceof KafkaError ? error.concerns : {}
      if (topic === undefined || partition === undefined || (error as KafkaError).name !== 'OFFSET_OUT_OF_RANGE')
        throw error
      const offset = await this.#offsets.restart(topic, partition, this.#end.signal)
      if (offset !== undefined) fetcher.assign([{ topic, partition, offset }])
      return undefined
    }
  }

  /** handle() until it succeeds; while it runs the partition is paused, so its chunks follow one another. */
  #start(chunk: FetchedChunk): void {
    const { stragglers, fetcher } = this.#options
    const { topic, partition } = chunk
    const key = `${topic}-${partition}`
    const before = stragglers.get(key)
    const handling = this.#handle(chunk, key, before).then((handled) => {
      this.#running.delete(key)
      if (stragglers.get(key) === handling) stragglers.delete(key)
      if (handled && !this.#abort.signal.aborted) {
        this.#offsets.handled(topic, partition, peekNextOffset(chunk))
        this.#reportLag(topic, partition)
        this.#commitSoon()
        fetcher.resume(topic, partition)
      }
      this.#wakeWaiter?.()
    })
    this.#running.set(key, handling)
    stragglers.set(key, handling)
  }

  async #handle(chunk: FetchedChunk, key: string, before: Promise<void> | undefined): Promise<boolean> {
    const { handle, log } = this.#options
    const { signal } = this.#abort
    const backoff = new Backoff({ firstMs: 100, mostMs: 5000 })
    await before
    while (!signal.aborted) {
      try {
        await handle(chunk, signal)
        if (this.#failing.delete(key) && this.#failing.size === 0) log.info({}, 'records are handled again')
        return true
      } catch (error) {
        if (signal.aborted || this.#end.signal.aborted) return false
        const { topic, partition, fetchOffset } = chunk
        if (this.#failing.size === 0)
          log.warn({ err: error, topic, partition, fetchOffset }, 'handling records fails, retrying')
        this.#failing.add(key)
        await pause(backoff.next(), AbortSignal.any([signal, this.#end.signal]))
      }
    }
    return false
  }

  async #drain(): Promise<void> {
    const timeUp = setTimeout(() => this.#abort.abort(), this.#options.drainMs)
    // After the abort nobody is waited for any more: a handle() that ignores it becomes a straggler.
    const aborted = new Promise<void>((resolve) => {
      if (this.#abort.signal.aborted) resolve()
      this.#abort.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([Promise.all(this.#running.values()), aborted])
    clearTimeout(timeUp)
    this.#abort.abort()
  }

  #expel(): void {
    this.#expelled = true
    this.#abort.abort()
    this.end()
  }

  #commitSoon(): void {
    if (this.#commitTimer !== undefined || !this.#offsets.hasUncommitted || this.#end.signal.aborted) return
    this.#commitTimer = setTimeout(() => {
      this.#committing = this.#commit().finally(() => {
        this.#committing = undefined
        this.#commitTimer = undefined
        this.#commitSoon()
      })
    }, this.#options.commitIntervalMs)
  }

  /** What is left after the last chunk. Retried for as long as the coordinator may still take it. */
  async #commitRest(): Promise<void> {
    clearTimeout(this.#commitTimer)
    await this.#committing
    const backoff = new Backoff({ firstMs: 50 })
    const untilMs = performance.now() + this.#options.drainMs
    while (
      this.#offsets.hasUncommitted &&
      !this.#expelled &&
      this.#fatal === undefined &&
      performance.now() < untilMs
    ) {
      await this.#commit()
      if (this.#offsets.hasUncommitted) await pause(backoff.next())
    }
  }

  async #commit(): Promise<void> {
    if (this.#expelled) return
    try {
      await this.#offsets.commit()
    } catch (cause) {
      const error = toKafkaError(cause, true, { groupId: this.#options.groupId })
      if (error.kind === 'retriable') return // logged by GroupOffsets; the next commit carries it all
      if (error.kind === 'fatal') this.#fatal = error
      this.#expel()
    }
  }

  #reportLag(topic: string, partition: number): void {
    const lag = this.#offsets.lagOf(topic, partition)
    if (lag !== undefined) this.#options.onLag?.(topic, partition, lag)
  }

  async #untilWoken(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wakeWaiter = resolve))
    this.#wakeWaiter = undefined
  }
}
