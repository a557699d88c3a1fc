import type { StreamsError } from '../errors.js'
import { ProcessingError, type ErrorDecision, type InputErrorContext } from './error-handlers.js'
import type { PoisonRecord } from './task.js'

/** So often the same record may fail before it is decided what becomes of it. */
const MAX_FAILURES = 3

interface Failing {
  readonly offset: number | undefined
  readonly times: number
  readonly error: unknown
  readonly decision: ErrorDecision | undefined
}

/**
 * What fails in processing. A record that throws may have changed some of its entries already, and they are mutated in
 * place: each failure therefore rolls back to the last commit, after which the record comes again, and only the third
 * time its handler is asked. At most one record per partition is known here: nothing behind it is reached before it is
 * through. An announcement that throws has no record that could be left out: the third time, the application stops.
 */
export class PoisonRecords {
  readonly #failing = new Map<string, Failing>()

  /** @param decideAbout asked about a record that has failed three times */
  constructor(private readonly decideAbout: (record: InputErrorContext, error: unknown) => ErrorDecision) {}

  /**
   * @returns whether to go on: the record is tried again, left out or put aside; false = only stopping is left
   * @throws StreamsError HANDLER
   */
  failed(error: StreamsError): boolean {
    const { task, topic, partition, offset } = error.concerns
    const at = topic === undefined ? placeOfTask(task) : `${topic}-${partition}`
    const known = this.#failing.get(at)
    const times = known !== undefined && known.offset === offset ? known.times + 1 : 1
    const cause = error.cause ?? error
    const asked = times === MAX_FAILURES && error instanceof ProcessingError
    const decision = asked ? this.decideAbout(error.record, cause) : undefined
    this.#failing.set(at, { offset, times, error: cause, decision })
    return times < MAX_FAILURES || decision === 'continue' || decision === 'dead-letter'
  }

  /** These tasks made it to a commit: what failed in their announcements is over. */
  committed(tasks: readonly { readonly id: string }[]): void {
    if (this.#failing.size > 0) for (const { id } of tasks) this.#failing.delete(placeOfTask(id))
  }

  /** The record of this partition that is to be left out or put aside when it comes again. */
  of(topic: string, partition: number): PoisonRecord | undefined {
    const { offset, error, decision } = this.#failing.get(`${topic}-${partition}`) ?? {}
    if (offset === undefined || decision === undefined || decision === 'fail') return undefined
    return { offset, error, decision }
  }
}

function placeOfTask(id: string | undefined): string {
  return `task ${id}`
}
