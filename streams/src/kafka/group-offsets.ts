import { KafkaAdmin } from './admin.js'
import type { KafkaClient } from './client.js'
import type { KafkaLog } from './config.js'
import { KafkaError, toKafkaError } from './errors.js'
import type { IsolationLevel } from './fetched-chunk.js'
import type { FetchPosition } from './fetcher.js'
import type { GroupGeneration } from './group-member.js'
import { offsetCommitRequest } from './protocol/offset-commit.js'
import { Backoff, pause } from './retry.js'

interface Progress {
  topic: string
  partition: number
  /** The next offset to handle. */
  position: number
  /** What the coordinator has; -1 nothing. */
  committed: number
  /** -1 until a Fetch told it. */
  highWatermark: number
}

export interface GroupOffsetsOptions {
  groupId: string
  isolation: IsolationLevel
  startAt: 'earliest' | 'latest'
  log: KafkaLog
}

/** Where the partitions of one generation stand: handled, committed, and how far behind the log's end. */
export class GroupOffsets {
  readonly #client: KafkaClient
  readonly #admin: KafkaAdmin
  readonly #generation: GroupGeneration
  readonly #options: GroupOffsetsOptions
  readonly #progress = new Map<string, Progress>()
  #troubled = false

  constructor(client: KafkaClient, generation: GroupGeneration, options: GroupOffsetsOptions) {
    this.#client = client
    this.#admin = new KafkaAdmin(client)
    this.#generation = generation
    this.#options = options
  }

  /**
   * Reads the committed offsets; a partition without one begins at startAt, and that is committed too: a restart before
   * the first commit must not begin at a later 'latest'. Waits out what heals, until `signal` is aborted.
   */
  async load(signal: AbortSignal): Promise<void> {
    const { assignment } = this.#generation
    if (assignment.size === 0) return
    const committed = await this.#retrying(signal, async () => await this.#committedOffsets(assignment))
    if (committed === undefined) return
    for (const [topic, partitions] of assignment) {
      const fresh = partitions.filter((partition) => !committed.has(`${topic}-${partition}`))
      const starts = fresh.length === 0 ? undefined : await this.#ends(topic, fresh, this.#options.startAt, signal)
      if (fresh.length > 0 && starts === undefined) return
      for (const partition of partitions) {
        const known = committed.get(`${topic}-${partition}`)
        const position = known ?? starts!.get(partition)!
        this.#progress.set(`${topic}-${partition}`, {
          topic,
          partition,
          position,
          committed: known ?? -1,
          highWatermark: -1,
        })
      }
    }
  }

  positions(): FetchPosition[] {
    return [...this.#progress.values()].map(({ topic, partition, position }) => ({
      topic,
      partition,
      offset: position,
    }))
  }

  handled(topic: string, partition: number, nextOffset: number): void {
    const progress = this.#progress.get(`${topic}-${partition}`)
    if (progress !== undefined) progress.position = nextOffset
  }

  watermark(topic: string, partition: number, highWatermark: number): void {
    const progress = this.#progress.get(`${topic}-${partition}`)
    if (progress !== undefined) progress.highWatermark = highWatermark
  }

  /** Undefined until a Fetch told where the log ends. */
  lagOf(topic: string, partition: number): number | undefined {
    const progress = this.#progress.get(`${topic}-${partition}`)
    return progress === undefined || progress.highWatermark < 0 ? undefined : lag(progress)
  }

  lags(): Map<string, number> {
    const known = [...this.#progress].filter(([, { highWatermark }]) => highWatermark >= 0)
    return new Map(known.map(([key, progress]) => [key, lag(progress)]))
  }

  /**
   * The offset to go on from when the log does not have the committed one: its beginning, because everything it still
   * has was not handled. Undefined when `signal` is aborted first.
   */
  async restart(topic: string, partition: number, signal: AbortSignal): Promise<number | undefined> {
    const progress = this.#progress.get(`${topic}-${partition}`)
    const starts = await this.#ends(topic, [partition], 'earliest', signal)
    if (progress === undefined || starts === undefined) return undefined
    const offset = starts.get(partition)!
    const { groupId, log } = this.#options
    const missing = Math.max(0, offset - progress.position)
    log.error(
      { groupId, topic, partition, position: progress.position, logStart: offset, missing },
      'the log does not have the next offset any more, going on from its beginning',
    )
    progress.position = offset
    return offset
  }

  get hasUncommitted(): boolean {
    return this.#uncommitted().length > 0
  }

  /**
   * Commits what was handled, fenced by the generation.
   * @throws KafkaError: `retriable` (try again later), `fenced` (somebody else owns the partitions), or `fatal`
   */
  async commit(): Promise<void> {
    const { groupId, log } = this.#options
    const { generationId, memberId } = this.#generation
    const offsets = this.#uncommitted().map(({ topic, partition, position }) => ({
      topic,
      partition,
      offset: position,
      metadata: '',
    }))
    if (offsets.length === 0) return
    try {
      const coordinator = await this.#client.coordinatorOf('group', groupId)
      const answers = await this.#client.send(
        coordinator,
        offsetCommitRequest({ groupId, generationId, memberId, offsets }),
      )
      const refused = answers.find(({ errorCode }) => errorCode !== 0)
      if (refused !== undefined) {
        throw KafkaError.fromCode(refused.errorCode, { groupId, topic: refused.topic, partition: refused.partition })
      }
    } catch (cause) {
      this.#client.forgetCoordinator('group', groupId)
      this.#failing(toKafkaError(cause, true, { groupId }))
      throw cause
    }
    for (const { topic, partition, offset } of offsets) this.#progress.get(`${topic}-${partition}`)!.committed = offset
    if (this.#troubled) log.info({ groupId }, 'offsets are committed again')
    this.#troubled = false
  }

  #uncommitted(): Progress[] {
    return [...this.#progress.values()].filter(({ position, committed }) => position !== committed)
  }

  async #committedOffsets(topics: Map<string, number[]>): Promise<Map<string, number>> {
    const { groupId } = this.#options
    const offsets = await this.#admin.committedOffsets(groupId, topics, { requireStable: true })
    const unstable = offsets.find((offset) => offset.unstable)
    if (unstable !== undefined) {
      const { topic, partition } = unstable
      throw KafkaError.named('UNSTABLE_OFFSET_COMMIT', { groupId, topic, partition })
    }
    const committed = offsets.filter(({ offset }) => offset >= 0)
    return new Map(committed.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  }

  async #ends(
    topic: string,
    partitions: number[],
    at: 'earliest' | 'latest',
    signal: AbortSignal,
  ): Promise<Map<number, number> | undefined> {
    const { isolation } = this.#options
    return await this.#retrying(signal, async () => await this.#admin.listOffsets(topic, partitions, at, isolation))
  }

  async #retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T | undefined> {
    const backoff = new Backoff({ firstMs: 20 })
    let failing = false
    while (!signal.aborted) {
      try {
        return await attempt()
      } catch (cause) {
        const error = toKafkaError(cause, true, { groupId: this.#options.groupId })
        if (error.kind !== 'retriable') throw error
        if (!failing) this.#options.log.debug({ error: error.message }, 'reading offsets fails, retrying')
        failing = true
        this.#client.forgetCoordinator('group', this.#options.groupId)
        await this.#client.refreshMetadata().catch(() => undefined)
        await pause(backoff.next(), signal)
      }
    }
    return undefined
  }

  #failing(error: KafkaError): void {
    if (!this.#troubled) this.#options.log.warn({ error: error.message, ...error.concerns }, 'committing offsets fails')
    this.#troubled = true
  }
}

function lag({ highWatermark, position }: Progress): number {
  return Math.max(0, highWatermark - position)
}
