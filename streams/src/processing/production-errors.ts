import { messageOf, StreamsError } from '../errors.js'
import { isKafkaError } from '../kafka/errors.js'
import type { NodeOf } from '../topology/nodes.js'
import { decide, defaultDecision, type ErrorHandlers, type ProductionErrorContext } from './error-handlers.js'
import { noDeadLetterTopic, type GivenUp } from './given-up.js'

/** Nothing is wrong with the record then, and the next one fares no better: somebody has to change something. */
const ABOUT_THE_TOPIC = [
  'TOPIC_AUTHORIZATION_FAILED',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'POLICY_VIOLATION',
]

/** Decides about records that cannot be written, one by one. */
export class ProductionErrors {
  constructor(
    private readonly handlers: ErrorHandlers,
    private readonly givenUp: GivenUp,
  ) {}

  /**
   * Asks the handler of the sink, else that of the application. Without one, data that cannot be written is put aside
   * where there is a dead-letter topic; what is wrong with the topic itself stops the application.
   * @param partition where a dead letter without a key goes
   * @throws StreamsError PRODUCTION or HANDLER, to stop
   */
  failed(sink: NodeOf<'sink'>, failed: ProductionErrorContext, partition: number, error: unknown): void {
    const { deadLetterTopic } = sink
    const unasked = isKafkaError(error, ...ABOUT_THE_TOPIC) ? 'fail' : defaultDecision(deadLetterTopic)
    const decision = decide(sink.onProductionError ?? this.handlers.onProductionError ?? unasked, failed, error)
    const { topic, input, key, value, headers } = failed
    if (decision === 'continue') {
      this.givenUp.dropped({ stage: 'production', topic, partition, error })
    } else if (decision === 'fail') {
      throw cannotBeWritten(failed, error)
    } else {
      if (deadLetterTopic === undefined) throw noDeadLetterTopic(`to('${topic}')`, error)
      const stage = 'production'
      this.givenUp.deadLetter({ stage, topic, partition, input, key, value, headers, deadLetterTopic, error })
    }
  }
}

function cannotBeWritten({ taskId, node, topic, input }: ProductionErrorContext, error: unknown): StreamsError {
  const origin = input === undefined ? '' : `, made of ${input.topic}-${input.partition} offset ${input.offset},`
  return new StreamsError(
    'PRODUCTION',
    `${taskId === undefined ? '' : `task ${taskId}: `}a record of ${node}${origin} cannot be written: ${messageOf(error)}; ` +
      `mend it where it is made or how the topic is set, or give to('${topic}') a deadLetterTopic or an onProductionError`,
    { ...(taskId !== undefined && { task: taskId }), node, ...(input ?? { topic }) },
    { cause: error },
  )
}
