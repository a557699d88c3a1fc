/** What a reader may see: only records of committed transactions (and of none), or everything below the high watermark. */
export type IsolationLevel = 'read_committed' | 'read_uncommitted'

/** A transaction of this producer that began at firstOffset and was aborted (from the Fetch response). */
export interface AbortedTransaction {
  producerId: bigint
  firstOffset: number
}

/** What one Fetch answered for one partition: the record batches as the broker stores them, undecoded. */
export interface FetchedChunk {
  topic: string
  partition: number
  /** The offset that was asked for; the first batch may begin before it. */
  fetchOffset: number
  /** Whole record batches, the last one possibly cut off; null or empty when there is only news about the watermarks. */
  records: Buffer | null
  aborted: AbortedTransaction[] | null
  /** One past the last replicated record. */
  highWatermark: number
  /** One past the last record below which every transaction is decided; a read_committed reader gets no further. */
  lastStableOffset: number
  logStartOffset: number
  /** performance.now() when it was asked for: the watermarks are from then or later, however late the answer was read. */
  askedAtMs?: number
}
