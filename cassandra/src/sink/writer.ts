import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../abort.js'
import { classifyWriteError, reasonOf } from '../errors.js'
import type { RejectedRecord, Write } from './plan.js'
import type { SinkMetrics } from './metrics.js'
import { Semaphore } from './semaphore.js'

/** `waiting`: Cassandra does not take our writes; nothing is lost, the lag grows. */
export type WriterState = { kind: 'writing' } | { kind: 'waiting'; sinceMs: number; reason: string }

export interface WriterOptions {
  /** Sends one write; resolves when as many replicas as the consistency asks for have it. */
  send(write: Write): Promise<unknown>
  /** Requests under way at a time, over all chunks. */
  maxInFlight: number
  metrics: SinkMetrics
  onState(state: WriterState): void
  /** Pauses between the attempts for one write; doubling, with jitter. */
  backoff?: { firstMs: number; longestMs: number }
}

/** So many failures of one write in a row mean that Cassandra is slow or away, not that one request was unlucky. */
const FAILURES_UNTIL_WAITING = 2

/**
 * Writes rows until they are durable, however long that takes. Bounded: a chunk is done when all of its rows are, at
 * most maxInFlight requests are under way, and a write that fails keeps its place while it waits for its next attempt,
 * so that a Cassandra that comes back is not met by everything at once.
 */
export class Writer {
  private readonly slots: Semaphore
  private readonly backoff: { firstMs: number; longestMs: number }
  private struggling = 0
  private currentState: WriterState = { kind: 'writing' }

  constructor(private readonly options: WriterOptions) {
    this.slots = new Semaphore(options.maxInFlight)
    this.backoff = options.backoff ?? { firstMs: 100, longestMs: 5_000 }
  }

  get state(): WriterState {
    return this.currentState
  }

  /**
   * @returns the rows that can never be written, each with its error; all others are durable
   * @throws the signal's reason when it aborts; what was written until then is harmless, it will be written again
   */
  async writeAll(writes: readonly Write[], signal: AbortSignal): Promise<RejectedRecord[]> {
    const rejected: RejectedRecord[] = []
    // One listener per write of the chunk is no leak.
    setMaxListeners(0, signal)
    await Promise.all(
      writes.map(async (write) => {
        await this.slots.acquire(signal)
        try {
          await this.untilDurable(write, signal, rejected)
        } finally {
          this.slots.release()
        }
      }),
    )
    return rejected
  }

  private async untilDurable(write: Write, signal: AbortSignal, rejected: RejectedRecord[]): Promise<void> {
    const { metrics } = this.options
    let failures = 0
    try {
      for (;;) {
        signal.throwIfAborted()
        const startedAtMs = performance.now()
        try {
          await unlessAborted(this.options.send(write), signal)
          metrics.written(write.table, write.rows.length, performance.now() - startedAtMs)
          return
        } catch (error) {
          signal.throwIfAborted()
          const failure = classifyWriteError(error)
          metrics.failed(failure)
          if (failure === 'never') return await this.withoutTheBadRows(write, error, signal, rejected)
          failures += 1
          if (failures === FAILURES_UNTIL_WAITING) this.struggling += 1
          if (failures >= FAILURES_UNTIL_WAITING || failure === 'setup') this.waiting(reasonOf(error))
        }
        // An abort ends the pause early; the loop's first line then throws its reason.
        await sleep(this.pauseMs(failures), undefined, { signal }).catch(() => undefined)
      }
    } finally {
      if (failures >= FAILURES_UNTIL_WAITING) this.struggling -= 1
      if (this.struggling === 0 && !signal.aborted) this.writing()
    }
  }

  /** One bad row makes a whole batch fail: its rows are tried one by one, and only the bad ones given up. */
  private async withoutTheBadRows(
    write: Write,
    error: unknown,
    signal: AbortSignal,
    rejected: RejectedRecord[],
  ): Promise<void> {
    if (write.rows.length > 1) {
      for (const row of write.rows) await this.untilDurable({ table: write.table, rows: [row] }, signal, rejected)
      return
    }
    for (const { source } of write.rows) rejected.push({ source, error: error as Error })
  }

  private pauseMs(failures: number): number {
    const longest = Math.min(this.backoff.firstMs * 2 ** (failures - 1), this.backoff.longestMs)
    return longest * (0.5 + Math.random() / 2)
  }

  private waiting(reason: string): void {
    if (this.currentState.kind === 'waiting') return
    this.currentState = { kind: 'waiting', sinceMs: performance.now(), reason }
    this.options.onState(this.currentState)
  }

  private writing(): void {
    if (this.currentState.kind === 'writing') return
    this.currentState = { kind: 'writing' }
    this.options.onState(this.currentState)
  }
}
