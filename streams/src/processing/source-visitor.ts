import { StreamsError } from '../errors.js'
import { MAX_TIMESTAMP_MS } from '../kafka/records/batch.js'
import type { RecordVisitor } from '../kafka/records/decode.js'
import { NO_TRACE, readTrace } from '../kafka/trace-context.js'
import { nameOfNode, type NodeOf } from '../topology/nodes.js'
import { ProcessingError } from './error-handlers.js'
import type { InputErrors } from './input-errors.js'
import { NodeError } from './node-error.js'
import type { PoisonRecord } from './poison-records.js'
import type { Forward, NodeContext } from './stateful-node.js'

/** A record that can be decoded and that the source's `check` does not let pass. */
export class InvalidRecordError extends Error {
  readonly code = 'INVALID_RECORD'
  constructor(complaint: string) {
    super(complaint)
    this.name = 'InvalidRecordError'
  }
}

export interface SourceVisitorOptions {
  context: NodeContext
  errors: InputErrors
  /** Records that are left out or put aside, ascending by offset. */
  poison: readonly PoisonRecord[]
}

/**
 * Runs each record of a source through the graph below it: decodes and checks it, moves the clock, hands it down. To be
 * called in the order of offsets.
 * @throws (when called) ProcessingError with the record; StreamsError DESERIALIZATION, PRODUCTION or HANDLER to stop
 */
export function sourceVisitor(
  { spec, forward }: { spec: NodeOf<'source'>; forward: Forward },
  { context, errors, poison }: SourceVisitorOptions,
): RecordVisitor {
  const { topic, key: keySerde, value: valueSerde, timestamp, check } = spec
  const { clock, record } = context
  const name = nameOfNode(spec)
  let nextPoison = 0
  let poisonOffset = poison[0]?.offset ?? Number.POSITIVE_INFINITY

  function poisonAt(offset: number): PoisonRecord | undefined {
    let known = poison[nextPoison]
    while (known !== undefined && known.offset < offset) known = poison[++nextPoison]
    poisonOffset = known?.offset ?? Number.POSITIVE_INFINITY
    return known?.offset === offset ? known : undefined
  }

  return (offset, timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart) => {
    if (offset >= poisonOffset) {
      const known = poisonAt(offset)
      if (known !== undefined) {
        const failed = errors.contextOf(
          name,
          topic,
          offset,
          timestampMs,
          bytes,
          keyStart,
          keyEnd,
          valueStart,
          valueEnd,
          headersStart,
        )
        return errors.giveUp('processing', known.decision, spec, failed, known.error)
      }
    }
    let isDecoded = false
    try {
      if (keyEnd < keyStart) throw new TypeError('the record has no key')
      if (valueEnd < valueStart) throw new TypeError('the record has no value')
      const key = keySerde.decode(bytes, keyStart, keyEnd)
      const value = valueSerde.decode(bytes, valueStart, valueEnd)
      const eventMs = timestamp === undefined ? timestampMs : timestamp(value)
      // One later than records can have would be refused only in the changelog, which gets stream time: at every start anew.
      if (!Number.isSafeInteger(eventMs) || eventMs < 0 || eventMs > MAX_TIMESTAMP_MS) {
        throw new RangeError(`event time ${eventMs} is not a whole number of epoch ms up to 2^51`)
      }
      const complaint = check?.(value, key, timestampMs)
      if (complaint !== undefined) throw new InvalidRecordError(complaint)
      isDecoded = true
      record.topic = topic
      record.offset = offset
      record.timestampMs = eventMs
      clock.observe(eventMs, timestampMs)
      if (bytes[headersStart] !== 0) context.trace = readTrace(bytes, headersStart)
      else if (context.trace !== NO_TRACE) context.trace = NO_TRACE
      forward(key, value)
    } catch (error) {
      if (isDecoded && error instanceof StreamsError) throw error
      const { node, cause } = isDecoded && error instanceof NodeError ? error : { node: name, cause: error }
      const failed = errors.contextOf(
        node,
        topic,
        offset,
        timestampMs,
        bytes,
        keyStart,
        keyEnd,
        valueStart,
        valueEnd,
        headersStart,
      )
      if (isDecoded) throw new ProcessingError(failed, cause)
      errors.cannotBeUsed(spec, failed, cause)
    }
  }
}
