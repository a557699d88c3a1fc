import { messageOf, StreamsError } from '../errors.js'
import type { RecordHeader } from '../kafka/records/encode.js'
import type { Topology } from '../topology/topology.js'

/** The stage at which a record failed, for labels and log lines. */
export type ErrorStage = 'deserialization' | 'processing' | 'production'

/**
 * What becomes of a record that failed.
 * - continue: it is left out, counted and told in the log
 * - dead-letter: its bytes go to the dead-letter topic, with the error in the headers (KIP-1034), committed with the rest
 * - fail: the application stops with a StreamsError; the record comes again at the next start
 */
export type ErrorDecision = 'continue' | 'dead-letter' | 'fail'

/** One decision for all, or a function that decides each time: at once, no promise. */
export type ErrorHandler<Context> = ErrorDecision | ((context: Context, error: unknown) => ErrorDecision)

/** An input record that failed: read at this offset. Bytes are copies. */
export interface InputErrorContext {
  readonly taskId: string
  /** What failed in the topology: `source trades`, `map-values`, `aggregate sums`. */
  readonly node: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** An output record that cannot be written. Bytes are copies. */
export interface ProductionErrorContext {
  /** Undefined when a broker refused it: by then the records of all tasks are on their way together. */
  readonly taskId: string | undefined
  /** `sink averages` */
  readonly node: string
  /** Where it was to go. */
  readonly topic: string
  /** Undefined when it was not known yet, because the key could not be encoded. */
  readonly partition: number | undefined
  /** The record it was made of; undefined for what is announced at commits, and when a broker refused it. */
  readonly input: { readonly topic: string; readonly partition: number; readonly offset: number } | undefined
  /** Null when it could not be encoded, too. */
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** Decides about input records that failed. */
export type InputErrorHandler = ErrorHandler<InputErrorContext>
/** Decides about output records that cannot be written. */
export type ProductionErrorHandler = ErrorHandler<ProductionErrorContext>

/** The handlers of an application; those of a stream or of a sink go before them. */
export interface ErrorHandlers {
  /** A record cannot be decoded, has no key or value, or was refused by a `check`. */
  onDeserializationError?: InputErrorHandler
  /** A record has failed three times in the functions of the topology, each time followed by a rollback. */
  onProcessingError?: InputErrorHandler
  /** A record cannot be encoded for a sink, or Kafka will never take it. */
  onProductionError?: ProductionErrorHandler
}

const DECISIONS: readonly unknown[] = ['continue', 'dead-letter', 'fail'] satisfies ErrorDecision[]

/**
 * Asks a handler.
 * @throws StreamsError HANDLER when it throws, or answers something else (a promise, say)
 */
export function decide<Context>(handler: ErrorHandler<Context>, context: Context, error: unknown): ErrorDecision {
  if (typeof handler === 'string') return handler
  let decision: unknown
  try {
    decision = handler(context, error)
  } catch (cause) {
    throw new StreamsError(
      'HANDLER',
      `an error handler threw ${messageOf(cause)} about: ${messageOf(error)}`,
      {},
      { cause },
    )
  }
  if (DECISIONS.includes(decision)) return decision as ErrorDecision
  throw new StreamsError(
    'HANDLER',
    `an error handler answered ${String(decision)}: it must answer 'continue', 'dead-letter' or 'fail', and at once`,
    {},
    { cause: error },
  )
}

/** Where no handler was given: bad data is put aside where there is a place for it, and stops the application else. */
export function defaultDecision(deadLetterTopic: string | undefined): ErrorDecision {
  return deadLetterTopic === undefined ? 'fail' : 'dead-letter'
}

/**
 * Where nothing but dead letters is wanted there must be a place for them: better said before the first one.
 * @throws TypeError that names the stream or the sink
 */
export function checkDeadLetterTopics(topology: Topology, handlers: ErrorHandlers): void {
  for (const { topic, deadLetterTopic, ...own } of topology.sources) {
    const wanted = [
      own.onDeserializationError ?? handlers.onDeserializationError,
      own.onProcessingError ?? handlers.onProcessingError,
    ].includes('dead-letter')
    if (wanted && deadLetterTopic === undefined) {
      throw new TypeError(`stream('${topic}') is to put failed records aside and has no deadLetterTopic`)
    }
  }
  for (const { topic, deadLetterTopic, onProductionError = handlers.onProductionError } of topology.sinks) {
    if (onProductionError === 'dead-letter' && deadLetterTopic === undefined) {
      throw new TypeError(`to('${topic}') is to put failed records aside and has no deadLetterTopic`)
    }
  }
}

/** An input record that made the topology throw; a rollback follows, and the record comes again. */
export class ProcessingError extends StreamsError {
  constructor(
    readonly record: InputErrorContext,
    cause: unknown,
  ) {
    const { taskId: task, topic, partition, offset, node } = record
    const message = `processing ${topic}-${partition} offset ${offset} failed at ${node}: ${messageOf(cause)}`
    super('PROCESSING', message, { task, topic, partition, offset, node }, { cause })
  }
}
