import { messageOf, StreamsError } from '../errors.js'
import { readHeaders } from '../kafka/records/decode.js'
import type { RecordHeader } from '../kafka/records/encode.js'
import type { NodeOf } from '../topology/nodes.js'
import {
  decide,
  defaultDecision,
  type ErrorDecision,
  type ErrorHandlers,
  type ErrorStage,
  type InputErrorContext,
} from './error-handlers.js'
import { noDeadLetterTopic, type GivenUp } from './given-up.js'

export interface InputErrorsOptions {
  taskId: string
  partition: number
  handlers: ErrorHandlers
  givenUp: GivenUp
}

/** Decides about input records of one task that cannot be used. */
export class InputErrors {
  constructor(private readonly options: InputErrorsOptions) {}

  /** What is to be told of a record, copied out of the fetched bytes; takes what the visitor of records gets. */
  contextOf(
    node: string,
    topic: string,
    offset: number,
    timestampMs: number,
    bytes: Buffer,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    headersStart: number,
  ): InputErrorContext {
    const part = (start: number, end: number) => (end < start ? null : Buffer.from(bytes.subarray(start, end)))
    const { taskId, partition } = this.options
    const [key, value] = [part(keyStart, keyEnd), part(valueStart, valueEnd)]
    const headers = copyHeaders(bytes, headersStart)
    return { taskId, node, topic, partition, offset, timestampMs, key, value, headers }
  }

  /**
   * Nothing was done with the record yet, so what is decided holds at once.
   * @throws StreamsError DESERIALIZATION or HANDLER, to stop
   */
  cannotBeUsed(source: NodeOf<'source'>, failed: InputErrorContext, error: unknown): void {
    const { onDeserializationError = this.options.handlers.onDeserializationError, deadLetterTopic } = source
    const decision = decide(onDeserializationError ?? defaultDecision(deadLetterTopic), failed, error)
    if (decision !== 'fail') return this.giveUp('deserialization', decision, source, failed, error)
    const { taskId: task, topic, partition, offset } = failed
    throw new StreamsError(
      'DESERIALIZATION',
      `${topic}-${partition} offset ${offset} cannot be used: ${messageOf(error)}; give stream('${topic}') a ` +
        `deadLetterTopic to put such records aside, or an onDeserializationError`,
      { task, topic, partition, offset },
      { cause: error },
    )
  }

  /** @throws StreamsError HANDLER when there is nowhere to put it */
  giveUp(
    stage: ErrorStage,
    decision: Exclude<ErrorDecision, 'fail'>,
    { deadLetterTopic }: NodeOf<'source'>,
    { topic, partition, offset, key, value, headers }: InputErrorContext,
    error: unknown,
  ): void {
    const { givenUp } = this.options
    if (decision === 'continue') return givenUp.dropped({ stage, topic, partition, error })
    if (deadLetterTopic === undefined) throw noDeadLetterTopic(`stream('${topic}')`, error)
    const input = { topic, partition, offset }
    givenUp.deadLetter({ stage, topic, partition, input, key, value, headers, deadLetterTopic, error })
  }
}

/** Headers that cannot be read are none: the record is given up anyway. */
function copyHeaders(bytes: Buffer, headersStart: number): RecordHeader[] {
  try {
    return readHeaders(bytes, headersStart).map(({ key, value }) => ({ key, value: value && Buffer.from(value) }))
  } catch {
    return []
  }
}
