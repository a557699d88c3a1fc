import { messageOf, StreamsError } from '../errors.js'
import type { KafkaLog } from '../kafka/config.js'
import { KafkaError } from '../kafka/errors.js'
import type { RollbackCause } from '../metrics.js'
import type { PoisonRecords } from '../processing/poison-records.js'

const FIRST_BACKOFF_MS = 50
const MOST_BACKOFF_MS = 2_000
/** As often may an error that nobody can name roll us back before the application stops. */
const MAX_UNNAMED_FAILURES = 3

/** Tells failures that a rollback mends from those it does not, and how long to wait between two tries. */
export class Failures {
  #inARow = 0
  #unnamed = 0
  #last = ''

  constructor(
    private readonly poison: PoisonRecords,
    private readonly log: KafkaLog,
  ) {}

  /** Something went through: what failed before is mended. */
  committed(): void {
    this.#inARow = 0
    this.#unnamed = 0
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
    const known = retriable || error instanceof StreamsError
    this.#inARow++
    // Whatever its words are: they may name another file or address each time.
    this.#unnamed = known ? 0 : this.#unnamed + 1
    if (this.#unnamed >= MAX_UNNAMED_FAILURES) throw error
    const name = messageOf(error)
    if (name !== this.#last) this.log.warn({ reason: name }, 'rolled back to the last commit')
    this.#last = name
    const backoffMs = Math.min(MOST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(this.#inARow, 6))
    return backoffMs * (0.5 + Math.random() / 2)
  }
}

/** What made an interval worthless, for a label. */
export function causeOf(error: unknown): RollbackCause {
  if (error instanceof StreamsError) return error.code === 'PROCESSING' ? 'processing' : 'other'
  if (!(error instanceof KafkaError)) return 'other'
  return error.kind === 'fenced' ? 'fenced' : 'kafka'
}
