import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError, toKafkaError } from './errors.js'
import { heartbeatRequest } from './protocol/group-membership.js'
import { Backoff } from './retry.js'

export interface HeartbeatsOptions {
  groupId: string
  intervalMs: number
  sessionTimeoutMs: number
  log: KafkaLog
  onRebalance(): void
  /** The coordinator refused this member, or (error undefined) did not answer for a whole session. */
  onLost(error: KafkaError | undefined): void
}

interface Beating {
  generationId: number
  memberId: string
}

/** What the wall clock may be set forward by between two heartbeats without a meaning. */
const CLOCKS_DRIFT_MS = 500

const LOST = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])

/**
 * Heartbeats of one generation: one every intervalMs, one in flight. Failures that pass are retried sooner, for as long
 * as the session lasts; then the member counts as lost without asking, because its partitions may be somebody else's.
 * The client must be the member's own: its connections are dropped then.
 */
export class Heartbeats {
  readonly #client: KafkaClient
  readonly #options: HeartbeatsOptions
  readonly #backoff = new Backoff({ firstMs: 100 })
  #failing = false
  #beating: Beating | undefined
  #inFlight: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #sessionTimer: NodeJS.Timeout | undefined
  #lastSuccessAtMs = -Infinity
  /** By the wall clock, epoch ms. */
  #lastSuccessWallMs = 0
  /** A heartbeat answered with REBALANCE_IN_PROGRESS keeps the session, though it promises no partition any more. */
  #lastContactAtMs = -Infinity

  constructor(client: KafkaClient, options: HeartbeatsOptions) {
    this.#client = client
    this.#options = options
  }

  /**
   * performance.now() at the start of the last one that was answered without error. The monotonic clock stands still while
   * a machine sleeps or is paused, and the group does not: what the wall clock has gone on by since then counts as well.
   */
  get lastSuccessAtMs(): number {
    const sleptMs = Date.now() - this.#lastSuccessWallMs - (performance.now() - this.#lastSuccessAtMs)
    return sleptMs > CLOCKS_DRIFT_MS ? this.#lastSuccessAtMs - sleptMs : this.#lastSuccessAtMs
  }

  #succeeded(atMs: number): void {
    this.#lastSuccessAtMs = atMs
    this.#lastSuccessWallMs = Date.now() - (performance.now() - atMs)
  }

  /** Begins with one at once: SyncGroup may have taken as long as the leader needed. */
  start(beating: Beating, joinedAtMs: number): void {
    this.#beating = beating
    this.#succeeded(joinedAtMs)
    this.#lastContactAtMs = performance.now()
    this.#healthy()
    this.#schedule(0)
    this.#watchSession()
  }

  /** Resolves when none is in flight any more. */
  async stop(): Promise<void> {
    this.#end()
    await this.#inFlight
  }

  #end(): void {
    this.#beating = undefined
    clearTimeout(this.#timer)
    clearTimeout(this.#sessionTimer)
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#inFlight = this.#beat().finally(() => {
        this.#inFlight = undefined
      })
    }, afterMs)
  }

  #watchSession(): void {
    const leftMs = this.#lastContactAtMs + this.#options.sessionTimeoutMs - performance.now()
    this.#sessionTimer = setTimeout(
      () => {
        const silentMs = performance.now() - this.#lastContactAtMs
        if (silentMs < this.#options.sessionTimeoutMs) this.#watchSession()
        else this.#giveUp()
      },
      Math.max(1, leftMs),
    )
  }

  /** One that is in flight may be on its way to a machine that is gone: neither stop() nor the next join waits for it. */
  #giveUp(): void {
    this.#client.dropConnections('no heartbeat was answered for a whole session')
    this.#lose(undefined)
  }

  #healthy(): void {
    this.#failing = false
    this.#backoff.reset()
  }

  #lose(error: KafkaError | undefined): void {
    this.#end()
    this.#options.onLost(error)
  }

  async #beat(): Promise<void> {
    const beating = this.#beating
    if (beating === undefined) return
    const { groupId, intervalMs, log } = this.#options
    const startedAtMs = performance.now()
    let error: KafkaError | undefined
    try {
      const coordinator = await this.#client.coordinatorOf('group', groupId)
      const { errorCode } = await this.#client.send(coordinator, heartbeatRequest({ groupId, ...beating }))
      if (errorCode !== 0) error = KafkaError.fromCode(errorCode, { groupId })
    } catch (cause) {
      error = toKafkaError(cause, true, { groupId })
    }
    if (this.#beating !== beating) return
    if (error === undefined || error.name === 'REBALANCE_IN_PROGRESS') {
      this.#lastContactAtMs = startedAtMs
      if (this.#failing) log.info({ groupId }, 'heartbeats are answered again')
      this.#healthy()
      this.#schedule(intervalMs)
      if (error === undefined) this.#succeeded(startedAtMs)
      else this.#options.onRebalance()
    } else if (LOST.has(error.name) || error.kind !== 'retriable') {
      this.#lose(error)
    } else {
      if (!this.#failing) log.warn({ groupId, error: error.message }, 'heartbeats fail, retrying')
      this.#failing = true
      this.#client.forgetCoordinator('group', groupId)
      this.#schedule(Math.min(intervalMs, this.#backoff.next()))
    }
  }
}
