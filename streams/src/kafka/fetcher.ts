import { setImmediate as nextTurn } from 'node:timers/promises'
import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError, toKafkaError } from './errors.js'
import { FetchBuffer, type AssignedPartition, type FetchAnswered, type FetchPlan } from './fetch-buffer.js'
import { FetchLeaders, type Leader } from './fetch-leaders.js'
import type { FetchedChunk, IsolationLevel } from './fetched-chunk.js'
import { ownConnections } from './own-connections.js'
import { fetchRequest, type FetchAnswer } from './protocol/fetch.js'
import { Backoff, pause } from './retry.js'

export type { FetchAnswered } from './fetch-buffer.js'

export interface FetcherOptions {
  isolation: IsolationLevel
  /** At most this much of one partition is asked for at once. Default 1 MiB. */
  maxBytesPerPartition?: number
  /** At most this much waits for poll(), all partitions together. Default 32 MiB. */
  maxBufferedBytes?: number
  /** How long a broker holds a Fetch when there is nothing new; also how often watermarks are told. Default 200 ms. */
  maxWaitMs?: number
  log: KafkaLog
}

export interface FetchPosition {
  topic: string
  partition: number
  offset: number
}

/**
 * Reads assigned partitions ahead of the caller. One Fetch is in flight per broker; its answer's headers tell the next
 * positions, so the next Fetch is on its way before the caller decodes a byte. What waits is bounded (FetchBuffer).
 *
 * A leader that moved, a broker that restarts, a broken connection heal by themselves: metadata is refreshed with a
 * growing pause of at most a second, and one line is logged when fetching fails and one when it works again. Everything
 * else (an offset that is not there, missing rights, corrupt batches) is thrown by poll() and the partition rests until
 * it is assigned anew.
 *
 * It opens connections of its own: a broker answers the requests of one connection one after the other, so a Fetch that
 * waits for news would hold up whatever else shares it.
 */
export class Fetcher {
  readonly #client: KafkaClient
  readonly #isolation: IsolationLevel
  readonly #maxWaitMs: number
  readonly #log: KafkaLog
  readonly #buffer: FetchBuffer
  readonly #leaders: FetchLeaders
  readonly #stop = new AbortController()
  #resolving: Promise<void> | undefined
  #metadataIsStale = false
  readonly #backoff = new Backoff({ firstMs: 50 })
  #failing = false
  #wakeWaiter: (() => void) | undefined
  #woken = false
  #closing: Promise<void> | undefined

  constructor(client: KafkaClient, options: FetcherOptions) {
    this.#client = ownConnections(client)
    this.#leaders = new FetchLeaders(this.#client)
    this.#isolation = options.isolation
    this.#maxWaitMs = options.maxWaitMs ?? 200
    this.#log = options.log
    this.#buffer = new FetchBuffer({
      maxBytesPerPartition: options.maxBytesPerPartition ?? 1024 * 1024,
      maxBufferedBytes: options.maxBufferedBytes ?? 32 * 1024 * 1024,
      newsEveryMs: this.#maxWaitMs,
    })
  }

  /** Adds partitions, or seeks those that are there; what was fetched of them before is dropped. They are not paused. */
  assign(positions: readonly FetchPosition[]): void {
    for (const { topic, partition, offset } of positions) this.#buffer.assign(topic, partition, offset)
    this.#changed()
  }

  unassign(partitions: readonly { topic: string; partition: number }[]): void {
    for (const { topic, partition } of partitions) this.#buffer.unassign(topic, partition)
    this.#changed()
  }

  unassignAll(): void {
    this.#buffer.clear()
  }

  /** poll() passes over this partition until resume(); its share of the buffer still fills. */
  pause(topic: string, partition: number): void {
    this.#buffer.pause(topic, partition)
    this.#changed()
  }

  resume(topic: string, partition: number): void {
    this.#buffer.resume(topic, partition)
    this.#changed()
    if (this.#buffer.canTake) this.#wakeWaiter?.()
  }

  /** What the last successful Fetch answered about a partition, whether it had records or not. */
  answered(topic: string, partition: number): FetchAnswered | undefined {
    return this.#buffer.get(topic, partition)?.answered
  }

  /** Bytes that wait for poll(). */
  get bufferedBytes(): number {
    return this.#buffer.bufferedBytes
  }

  /**
   * The next chunk, in the order of arrival; chunks of one partition follow each other without a gap. A chunk without
   * records tells watermarks: at once when they changed, else about every maxWaitMs. Undefined after timeoutMs, after
   * wake() and after close().
   * @throws KafkaError that does not heal by itself, e.g. OFFSET_OUT_OF_RANGE, with topic and partition in `concerns`
   */
  async poll(timeoutMs: number): Promise<FetchedChunk | undefined> {
    if (this.#wakeWaiter !== undefined) throw new Error('poll() is already being waited for')
    const canWait = !this.#woken && this.#closing === undefined
    if (canWait && timeoutMs > 0 && !this.#buffer.canTake) await this.#wait(timeoutMs)
    this.#woken = false
    if (this.#closing !== undefined) return undefined
    const taken = this.#buffer.take()
    if (taken?.chunk.records == null) return taken?.chunk
    const { assigned, chunk } = taken
    this.#changed()
    // One turn of the event loop: the next Fetch gets onto the wire before the caller starts to work, and a long row of
    // chunks does not keep heartbeats waiting.
    await nextTurn()
    // Somebody may have sought or unassigned it during that turn.
    return this.#buffer.isCurrent(assigned) ? chunk : undefined
  }

  /** Ends the poll() that waits, or the next one if none does; a chunk that is there is still returned. */
  wake(): void {
    this.#woken = true
    this.#wakeWaiter?.()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    this.#buffer.clear()
    this.#wakeWaiter?.()
    await this.#client.close()
    await this.#resolving
  }

  async #wait(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wakeWaiter = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wakeWaiter = undefined
  }

  #changed(): void {
    for (const leader of this.#leaders.values()) {
      leader.resting = false
      leader.changed = true
    }
    this.#pump()
  }

  /** Sends a Fetch to every broker that has none in flight and has something to be asked for. */
  #pump(): void {
    if (this.#closing !== undefined) return
    for (const leaderId of this.#buffer.leaders()) {
      const leader = this.#leaders.get(leaderId)
      if (leader === undefined || leader.inFlight || leader.resting) continue
      const plan = this.#buffer.plan(leaderId)
      if (plan !== undefined) void this.#fetch(leaderId, leader, plan)
    }
    if (this.#resolving === undefined && this.#buffer.withoutLeader().length > 0) {
      this.#resolving = this.#findLeaders().finally(() => {
        this.#resolving = undefined
        if (this.#buffer.withoutLeader().length > 0) this.#pump()
      })
    }
  }

  async #fetch(leaderId: string, leader: Leader, plan: FetchPlan): Promise<void> {
    leader.inFlight = true
    leader.changed = false
    const askedAtMs = performance.now()
    try {
      const answer = await this.#client.send(
        leader.broker,
        fetchRequest({
          isolation: this.#isolation,
          // What is left out may have news soon and cannot be added to a request that waits at the broker.
          maxWaitMs: plan.partial ? 0 : this.#maxWaitMs,
          minBytes: 1,
          maxBytes: plan.maxBytes,
          partitions: plan.partitions,
        }),
      )
      leader.inFlight = false
      if (this.#closing !== undefined) return
      const came = this.#accept(plan, answer, askedAtMs)
      leader.resting = came === 'nothing' && plan.partial && !leader.changed
    } catch (error) {
      leader.inFlight = false
      if (this.#closing !== undefined) return
      if (error instanceof KafkaError && passes(error)) {
        this.#buffer.dropLeader(leaderId)
        this.#leaders.delete(leaderId)
        this.#fails(error)
      } else {
        for (const { assigned } of plan.partitions)
          this.#buffer.fail(
            assigned,
            toKafkaError(error, true, { topic: assigned.topic, partition: assigned.partition }),
          )
      }
    }
    this.#pump()
    if (this.#buffer.canTake) this.#wakeWaiter?.()
  }

  #accept(plan: FetchPlan, answer: FetchAnswer, askedAtMs: number): 'something' | 'nothing' {
    if (answer.errorCode !== 0) throw KafkaError.fromCode(answer.errorCode)
    const asked = new Map(plan.partitions.map((entry) => [`${entry.topic}-${entry.partition}`, entry]))
    let something = false
    let failure: KafkaError | undefined
    for (const fetched of answer.partitions) {
      const entry = asked.get(`${fetched.topic}-${fetched.partition}`)
      if (entry === undefined) continue
      const error = this.#acceptPartition(entry, fetched, askedAtMs)
      if (error !== undefined) failure = error
      something ||= fetched.records !== null
    }
    if (failure !== undefined) this.#fails(failure)
    else if (this.#failing && !this.#buffer.isTroubled) this.#healthy()
    return something ? 'something' : 'nothing'
  }

  /** Returns the error if it is one that passes. */
  #acceptPartition(
    asked: FetchPlan['partitions'][number],
    fetched: FetchAnswer['partitions'][number],
    askedAtMs: number,
  ): KafkaError | undefined {
    const { topic, partition, assigned } = asked
    const concerns = { topic, partition }
    let error: KafkaError | undefined
    try {
      if (fetched.errorCode !== 0) error = KafkaError.fromCode(fetched.errorCode, concerns)
      else this.#buffer.accept(asked, fetched, askedAtMs)
    } catch (cause) {
      error = toKafkaError(cause, true, concerns)
    }
    if (error === undefined || !this.#buffer.isCurrent(assigned)) return undefined
    if (!passes(error)) {
      this.#buffer.fail(assigned, error)
      return undefined
    }
    assigned.leaderId = undefined
    assigned.troubled = true
    return error
  }

  /** Looks for the leaders of partitions that have none, until all are found. */
  async #findLeaders(): Promise<void> {
    for (;;) {
      const searched = this.#buffer.withoutLeader()
      if (searched.length === 0 || this.#closing !== undefined) return
      let failure: KafkaError | undefined
      try {
        if (this.#failing) await pause(this.#backoff.next(), this.#stop.signal)
        if (this.#metadataIsStale) await this.#client.refreshMetadata()
        this.#metadataIsStale = false
        for (const assigned of searched) failure = (await this.#findLeader(assigned)) ?? failure
      } catch (cause) {
        failure = toKafkaError(cause, true)
      }
      if (this.#stop.signal.aborted) return
      if (failure !== undefined) this.#fails(failure)
      this.#pump()
      if (this.#buffer.canTake) this.#wakeWaiter?.()
    }
  }

  /** Returns the error if it is one that passes. */
  async #findLeader(assigned: AssignedPartition): Promise<KafkaError | undefined> {
    const { topic, partition } = assigned
    try {
      assigned.leaderId = await this.#leaders.find(topic, partition)
      return undefined
    } catch (cause) {
      const error = toKafkaError(cause, true, { topic, partition })
      assigned.troubled = true
      if (passes(error)) return error
      this.#buffer.fail(assigned, error)
      return undefined
    }
  }

  #fails(error: KafkaError): void {
    this.#metadataIsStale = true
    if (!this.#failing) this.#log.warn({ error: error.message, ...error.concerns }, 'fetching fails, retrying')
    this.#failing = true
  }

  #healthy(): void {
    this.#log.info({}, 'fetching works again')
    this.#failing = false
    this.#backoff.reset()
  }
}

/** A broker that stumbled over one Fetch (UNKNOWN_SERVER_ERROR) is asked again, as the Java consumer does. */
function passes({ kind, name }: KafkaError): boolean {
  return kind === 'retriable' || name === 'UNKNOWN_SERVER_ERROR'
}
