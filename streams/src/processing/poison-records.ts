import type { StreamsError } from '../errors.js'
import type { Progress } from '../state/progress.js'
import { ProcessingError, type ErrorDecision, type InputErrorContext } from './error-handlers.js'

/** So often the same record may fail before it is decided what becomes of it. */
const MAX_FAILURES = 3

/** A record that failed again and again while it was processed, with what, and what becomes of it. */
export interface PoisonRecord {
  readonly offset: number
  readonly error: unknown
  readonly decision: Exclude<ErrorDecision, 'fail'>
}

interface Failing {
  times: number
  error: unknown
  decision: ErrorDecision | undefined
}

/** What is asked of a task that was committed. */
interface CommittedTask {
  readonly id: string
  readonly partition: number
  readonly state: { readonly progress: Progress | undefined }
}

const NONE: readonly PoisonRecord[] = Object.freeze([])

/**
 * What fails in processing. A record that throws may have changed some of its entries already, and they are mutated in
 * place: each failure therefore rolls back to the last commit, after which the record comes again, and only the third
 * time its handler is asked. What was decided is kept until it is committed, because one record behind it may fail in the
 * same interval; so there are never more of them than an interval has records. An announcement that throws has no record
 * that could be left out: the third time, the application stops.
 */
export class PoisonRecords {
  /** By `topic-partition` and offset. */
  readonly #records = new Map<string, Map<number, Failing>>()
  /** By task. */
  readonly #announcements = new Map<string, number>()

  /** @param decideAbout asked about a record that has failed three times */
  constructor(private readonly decideAbout: (record: InputErrorContext, error: unknown) => ErrorDecision) {}

  /**
   * @returns whether to go on: the record is tried again, left out or put aside; false = only stopping is left
   * @throws StreamsError HANDLER
   */
  failed(error: StreamsError): boolean {
    if (error instanceof ProcessingError) return this.#recordFailed(error)
    const task = error.concerns.task ?? ''
    const times = (this.#announcements.get(task) ?? 0) + 1
    this.#announcements.set(task, times)
    return times < MAX_FAILURES
  }

  /** These tasks made it to a commit: what failed in their announcements is over, and so is what they have passed. */
  committed(tasks: readonly CommittedTask[]): void {
    if (this.#announcements.size === 0 && this.#records.size === 0) return
    for (const { id, partition, state } of tasks) {
      this.#announcements.delete(id)
      for (const [topic, next] of Object.entries(state.progress?.inputs ?? {})) {
        const at = `${topic}-${partition}`
        const known = this.#records.get(at)
        for (const offset of known?.keys() ?? []) if (offset < next) known!.delete(offset)
        if (known?.size === 0) this.#records.delete(at)
      }
    }
  }

  /** The records of this partition that are to be left out or put aside when they come again, by offset. */
  of(topic: string, partition: number): readonly PoisonRecord[] {
    const known = this.#records.get(`${topic}-${partition}`)
    if (known === undefined) return NONE
    return [...known]
      .flatMap(([offset, { error, decision }]) => {
        return decision === undefined || decision === 'fail' ? [] : [{ offset, error, decision }]
      })
      .sort((a, b) => a.offset - b.offset)
  }

  #recordFailed({ record, cause }: ProcessingError): boolean {
    const at = `${record.topic}-${record.partition}`
    let known = this.#records.get(at)
    if (known === undefined) this.#records.set(at, (known = new Map()))
    const failing = known.get(record.offset) ?? { times: 0, error: cause, decision: undefined }
    known.set(record.offset, failing)
    failing.times++
    failing.error = cause
    if (failing.times < MAX_FAILURES) return true
    failing.decision = failing.times === MAX_FAILURES ? this.decideAbout(record, cause) : 'fail'
    return failing.decision !== 'fail'
  }
}
