import { messageOf, StreamsError } from '../errors.js'
import type { KafkaLog } from '../kafka/config.js'
import { KafkaError } from '../kafka/errors.js'
import type { RollbackCause } from '../metrics.js'
import type { PoisonRecords } from '../processing/poison-records.js'

const FIRST_BACKOFF_MS = 50
const MOST_BACKOFF_MS = 2_000
/** How often an error that nobody can name may roll us back before the application stops. */
const MAX_UNNAMED_FAILURES = 3
/** Errors this far apart have nothing to do with each other. Commits in between say nothing: other tasks may make them. */
const APART_MS = 60_000

/** Tells failures that a rollback mends from those it does not, and how long to wait between two tries. */
export class Failures {
  #inARow = 0
  #unnamed = 0
  #unnamedAtMs = Number.NEGATIVE_INFINITY
  #last = ''

  constructor(
    private readonly poison: PoisonRecords,
    private readonly log: KafkaLog,
  ) {}

  /** Something went through: what failed before is mended. */
  committed(): void {
    this.#inARow = 0
    this.#last = ''
  }

  /**
   * Everything was rolled back because of this error.
   * @returns how long to wait before going on, ms: random within bounds that grow, so that instances do not try in step
   * @throws the error itself when going on would only fail again
   */
  judge(error: unknown): number {
    const retriable = error instanceof KafkaError && error.kind !== 'fatal'
    const damaged = error instanceof StreamsError && error.code === 'STATE_DAMAGED'
    if (error instanceof StreamsError && error.code !== 'PROCESSING' && !damaged) throw error
    // A changelog that was cleaned up beyond where a restore was: the task is validated again, and rebuilt.
    const isChangelogAhead = error instanceof KafkaError && error.name === 'OFFSET_OUT_OF_RANGE'
    if (error instanceof KafkaError && error.kind === 'fatal' && !isChangelogAhead) throw error
    if (error instanceof StreamsError && !damaged && !this.poison.failed(error)) throw error
    if (!retriable && !(error instanceof StreamsError) && this.#isOneTooMany()) throw error
    this.#inARow++
    const name = messageOf(error)
    if (name !== this.#last) this.log.warn({ reason: name }, 'rolled back to the last commit')
    this.#last = name
    const backoffMs = Math.min(MOST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(this.#inARow, 6))
    return backoffMs * (0.5 + Math.random() / 2)
  }

  /** Counts an error that nobody can name, whatever its words: they may tell another file or address each time. */
  #isOneTooMany(): boolean {
    const nowMs = performance.now()
    this.#unnamed = nowMs - this.#unnamedAtMs < APART_MS ? this.#unnamed + 1 : 1
    this.#unnamedAtMs = nowMs
    return this.#unnamed >= MAX_UNNAMED_FAILURES
  }
}

/** What made an interval worthless, for a label. */
export function causeOf(error: unknown): RollbackCause {
  if (error instanceof StreamsError) return error.code === 'PROCESSING' ? 'processing' : 'other'
  if (!(error instanceof KafkaError)) return 'other'
  return error.kind === 'fenced' ? 'fenced' : 'kafka'
}
