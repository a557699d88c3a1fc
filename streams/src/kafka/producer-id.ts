import type { KafkaClient } from './client.js'
import { failOn, toKafkaError } from './errors.js'
import { initProducerId } from './protocol/transactions.js'
import { Backoff, pause } from './retry.js'

/** Who produces, as the broker gave it out. */
export interface ProducerStanding {
  producerId: bigint
  producerEpoch: number
}

/** Asked for with every producer id; without a transactional id there is no transaction that could take so long. */
const ABOVE_ANY_TRANSACTION_MS = 60_000
const LAST_EPOCH = 32_767

/** One try to get a producer id without a transactional id. */
export async function newStanding(client: Pick<KafkaClient, 'anyBroker' | 'send'>): Promise<ProducerStanding> {
  const answer = await client.send(await client.anyBroker(), initProducerId(null, ABOVE_ANY_TRANSACTION_MS))
  failOn(answer.errorCode)
  return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
}

/**
 * A producer id, for as long as it takes.
 * @throws KafkaError that does not heal, or the last one when `signal` was aborted
 */
export async function acquireStanding(
  client: Pick<KafkaClient, 'anyBroker' | 'send'>,
  signal: AbortSignal,
): Promise<ProducerStanding> {
  const backoff = new Backoff()
  for (;;) {
    try {
      return await newStanding(client)
    } catch (cause) {
      const error = toKafkaError(cause, true)
      if (!error.retriable || !(await pause(backoff.next(), signal))) throw error
    }
  }
}

/** The same producer id with the next epoch, or undefined when its epochs are used up. */
export function nextEpoch({ producerId, producerEpoch }: ProducerStanding): ProducerStanding | undefined {
  return producerEpoch < LAST_EPOCH ? { producerId, producerEpoch: producerEpoch + 1 } : undefined
}
