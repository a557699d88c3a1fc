import { StreamsError } from '../errors.js'
import type { RecordHeader } from '../kafka/records/encode.js'
import type { ErrorStage } from './error-handlers.js'

/** A record that is put aside: its bytes as they came or were to go, and why. */
export interface DeadLetteredRecord {
  readonly stage: ErrorStage
  /** Where it was read, or was to be written. */
  readonly topic: string
  /** Decides where the letter goes when there is no key. */
  readonly partition: number
  /** The input record that it is, or was made of. */
  readonly input: { readonly topic: string; readonly partition: number; readonly offset: number } | undefined
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly deadLetterTopic: string
  readonly error: unknown
}

/** A record that is left out. */
export interface DroppedRecord {
  readonly stage: ErrorStage
  readonly topic: string
  readonly partition: number
  readonly error: unknown
}

/** Takes what is not processed or not written any more: as a dead letter, or as no more than a count and a line. */
export interface GivenUp {
  deadLetter(record: DeadLetteredRecord): void
  dropped(record: DroppedRecord): void
}

export function noDeadLetterTopic(where: string, error: unknown): StreamsError {
  const message = `an error handler answered 'dead-letter', but ${where} has no deadLetterTopic`
  return new StreamsError('HANDLER', message, {}, { cause: error })
}
