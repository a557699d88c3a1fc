import type { KafkaError } from './errors.js'
import type { FetchedChunk } from './fetched-chunk.js'
import type { FetchedPartition, PartitionToFetch } from './protocol/fetch.js'
import { peekNextOffset } from './records/decode.js'

/** Below this a partition's share is not cut, however many partitions there are. */
const MIN_SHARE_BYTES = 16 * 1024

/** What the last successful Fetch said about a partition. */
export interface FetchAnswered {
  /** The offset that will be fetched next, records handed to the buffer included. */
  position: number
  highWatermark: number
  lastStableOffset: number
  /** performance.now() when it was asked: the watermarks are from then or later, however late the answer was read. */
  atMs: number
}

/** One assignment of one partition. Seeking makes a new one, so what was asked for the old one is recognised and dropped. */
export interface AssignedPartition {
  readonly topic: string
  readonly partition: number
  /** The broker it is fetched from; undefined until it is found, and again when it turns out to be another. */
  leaderId: string | undefined
  position: number
  bufferedBytes: number
  paused: boolean
  /** The last attempt failed in a way that passes; cleared by the next answer. */
  troubled: boolean
  /** A fatal error was reported; it rests until it is assigned anew. */
  failed: boolean
  answered: FetchAnswered | undefined
  /** When, and with which watermarks, the caller was last told something. */
  told: FetchedChunk | undefined
}

export interface FetchPlan {
  partitions: (PartitionToFetch & { assigned: AssignedPartition })[]
  maxBytes: number
  /** Some partition was left out because its buffered chunks wait for poll(): the answer may not be waited for. */
  partial: boolean
}

export interface WaitingChunk {
  assigned: AssignedPartition
  chunk: FetchedChunk
  error?: KafkaError
}

function keyOf(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/**
 * What is assigned, how far each partition was fetched, and the chunks that wait for poll(); no sockets, no clock.
 *
 * Memory: every partition has an equal share of maxBufferedBytes and is fetched only while it holds less than half of
 * its share, for at most the rest of it. So the sum has a bound, and a partition whose chunks nobody takes (paused, slow
 * handler) costs the others nothing. The bound is passed only by single batches that are larger than a share (a broker
 * sends at least one) and by more partitions than 16 KiB shares fit.
 */
export class FetchBuffer {
  readonly #partitions = new Map<string, AssignedPartition>()
  readonly #maxBytesPerPartition: number
  readonly #maxBufferedBytes: number
  readonly #newsEveryMs: number
  #waiting: WaitingChunk[] = []

  constructor(options: { maxBytesPerPartition: number; maxBufferedBytes: number; newsEveryMs: number }) {
    this.#maxBytesPerPartition = options.maxBytesPerPartition
    this.#maxBufferedBytes = options.maxBufferedBytes
    this.#newsEveryMs = options.newsEveryMs
  }

  assign(topic: string, partition: number, offset: number): void {
    const leaderId = this.#partitions.get(keyOf(topic, partition))?.leaderId
    this.unassign(topic, partition)
    this.#partitions.set(keyOf(topic, partition), {
      topic,
      partition,
      leaderId,
      position: offset,
      bufferedBytes: 0,
      paused: false,
      troubled: false,
      failed: false,
      answered: undefined,
      told: undefined,
    })
  }

  unassign(topic: string, partition: number): void {
    const assigned = this.#partitions.get(keyOf(topic, partition))
    if (assigned === undefined) return
    this.#partitions.delete(keyOf(topic, partition))
    this.#waiting = this.#waiting.filter((waiting) => waiting.assigned !== assigned)
  }

  clear(): void {
    this.#partitions.clear()
    this.#waiting = []
  }

  get(topic: string, partition: number): AssignedPartition | undefined {
    return this.#partitions.get(keyOf(topic, partition))
  }

  pause(topic: string, partition: number): void {
    const assigned = this.get(topic, partition)
    if (assigned === undefined) return
    assigned.paused = true
    for (const waiting of this.#waiting) if (waiting.assigned === assigned) detach(waiting.chunk)
  }

  resume(topic: string, partition: number): void {
    const assigned = this.get(topic, partition)
    if (assigned !== undefined) assigned.paused = false
  }

  get bufferedBytes(): number {
    let sum = 0
    for (const assigned of this.#partitions.values()) sum += assigned.bufferedBytes
    return sum
  }

  withoutLeader(): AssignedPartition[] {
    return [...this.#partitions.values()].filter((assigned) => assigned.leaderId === undefined && !assigned.failed)
  }

  leaders(): Set<string> {
    const leaders = new Set<string>()
    for (const { leaderId } of this.#partitions.values()) if (leaderId !== undefined) leaders.add(leaderId)
    return leaders
  }

  dropLeader(leaderId: string): void {
    for (const assigned of this.#partitions.values()) {
      if (assigned.leaderId !== leaderId) continue
      assigned.leaderId = undefined
      assigned.troubled = true
    }
  }

  get isTroubled(): boolean {
    return [...this.#partitions.values()].some((assigned) => assigned.troubled)
  }

  /** What to ask this broker for now; undefined when there is nothing, or no room. */
  plan(leaderId: string): FetchPlan | undefined {
    const equal = Math.floor(this.#maxBufferedBytes / this.#partitions.size)
    const share = Math.min(this.#maxBytesPerPartition, Math.max(MIN_SHARE_BYTES, equal))
    const plan: FetchPlan = { partitions: [], maxBytes: 0, partial: false }
    for (const assigned of this.#partitions.values()) {
      if (assigned.leaderId !== leaderId || assigned.failed) continue
      if (assigned.bufferedBytes > share / 2) {
        plan.partial ||= !assigned.paused
        continue
      }
      const { topic, partition, position: offset } = assigned
      const maxBytes = share - assigned.bufferedBytes
      plan.partitions.push({ topic, partition, offset, maxBytes, assigned })
      plan.maxBytes += maxBytes
    }
    return plan.partitions.length === 0 ? undefined : plan
  }

  /**
   * Takes in what a broker answered for one partition of a plan. Answers for what was unassigned or sought elsewhere in
   * the meantime are dropped.
   * @throws KafkaError INVALID_ANSWER if the batches' headers do not fit together
   */
  accept(asked: FetchPlan['partitions'][number], fetched: FetchedPartition, askedAtMs: number): void {
    const { assigned } = asked
    const { topic, partition, records, aborted, highWatermark, lastStableOffset, logStartOffset } = fetched
    if (!this.isCurrent(assigned)) return
    const watermarks = { highWatermark, lastStableOffset, logStartOffset }
    const chunk = { topic, partition, fetchOffset: asked.offset, records, aborted, ...watermarks, askedAtMs }
    const next = peekNextOffset(chunk)
    assigned.troubled = false
    assigned.answered = { position: next, highWatermark, lastStableOffset, atMs: askedAtMs }
    if (records === null || next === asked.offset) {
      this.#tellNews(assigned, { ...chunk, records: null, aborted: null })
      return
    }
    assigned.position = next
    assigned.told = chunk
    if (assigned.paused || assigned.bufferedBytes > 0) detach(chunk)
    assigned.bufferedBytes += records.length
    this.#waiting.push({ assigned, chunk })
    // To the end of the line: a broker fills its answer in the order of the request, and sends a batch larger than the
    // limit only for the first partition that has data. So everybody is first in turn.
    this.#partitions.delete(keyOf(topic, partition))
    this.#partitions.set(keyOf(topic, partition), assigned)
  }

  /** Puts an error in line for poll(); the partition rests until it is assigned anew. */
  fail(assigned: AssignedPartition, error: KafkaError): void {
    if (!this.isCurrent(assigned) || assigned.failed) return
    assigned.failed = true
    assigned.troubled = false
    const { topic, partition, position: fetchOffset } = assigned
    const unknown = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
    const chunk = { topic, partition, fetchOffset, records: null, aborted: null, ...unknown }
    this.#waiting.push({ assigned, chunk, error })
  }

  isCurrent(assigned: AssignedPartition): boolean {
    return this.get(assigned.topic, assigned.partition) === assigned
  }

  get canTake(): boolean {
    return this.#waiting.some(isTakeable)
  }

  /**
   * The oldest chunk of a partition that is not paused.
   * @throws the KafkaError that stands in line instead
   */
  take(): WaitingChunk | undefined {
    const index = this.#waiting.findIndex(isTakeable)
    if (index === -1) return undefined
    const taken = this.#waiting.splice(index, 1)[0]!
    if (taken.error !== undefined) throw taken.error
    taken.assigned.bufferedBytes -= taken.chunk.records?.length ?? 0
    return taken
  }

  /** Watermarks without records: told when they changed, else now and then; at most one waits for each partition. */
  #tellNews(assigned: AssignedPartition, chunk: FetchedChunk): void {
    const { told } = assigned
    const same = told?.highWatermark === chunk.highWatermark && told.lastStableOffset === chunk.lastStableOffset
    if (same && chunk.askedAtMs! - told.askedAtMs! < this.#newsEveryMs) return
    assigned.told = chunk
    const waiting = this.#waiting.findLast((candidate) => candidate.assigned === assigned)
    if (waiting?.chunk.records === null && waiting.error === undefined) waiting.chunk = chunk
    else this.#waiting.push({ assigned, chunk })
  }
}

function isTakeable(waiting: WaitingChunk): boolean {
  return !waiting.assigned.paused || waiting.error !== undefined
}

/** A small chunk that may wait for long gets bytes of its own: else it would keep the whole response in memory. */
function detach(chunk: FetchedChunk): void {
  const { records } = chunk
  if (records !== null && records.length * 2 < records.buffer.byteLength) chunk.records = Buffer.from(records)
}
