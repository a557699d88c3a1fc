import type { StreamsError } from '../errors.js'
import type { PoisonRecord } from './task.js'

/** So often the same record may fail before it is put aside, or the application stops. */
const MAX_FAILURES = 3

interface Failing {
  readonly offset: number | undefined
  readonly times: number
  readonly error: unknown
}

/**
 * Records that fail in processing. Each failure rolls back to the last commit, after which the record comes again; one
 * that goes on failing goes the way of undecodable ones, where its stream has a dead-letter topic. At most one record
 * per partition is known here: nothing behind it is reached before it is through.
 */
export class PoisonRecords {
  readonly #failing = new Map<string, Failing>()

  /** @param hasDeadLetterTopic whether records of this input topic can be put aside */
  constructor(private readonly hasDeadLetterTopic: (topic: string) => boolean) {}

  /** @returns whether to go on: the record is tried again or put aside; false = only stopping is left */
  failed(error: StreamsError): boolean {
    const { topic, partition, offset } = error.concerns
    const at = `${topic}-${partition}`
    const known = this.#failing.get(at)
    const times = known?.offset === offset ? known!.times + 1 : 1
    this.#failing.set(at, { offset, times, error: error.cause ?? error })
    if (times < MAX_FAILURES) return true
    return times === MAX_FAILURES && offset !== undefined && topic !== undefined && this.hasDeadLetterTopic(topic)
  }

  /** The record of this partition that is to be put aside when it comes again. */
  of(topic: string, partition: number): PoisonRecord | undefined {
    const failing = this.#failing.get(`${topic}-${partition}`)
    if (failing?.offset === undefined || failing.times < MAX_FAILURES) return undefined
    return { offset: failing.offset, error: failing.error }
  }
}
