import type { KafkaClient } from './client.js'
import { KafkaError } from './errors.js'
import type { ApiRequest } from './protocol/api-request.js'
import { retrying } from './retry.js'

/** How long one administrative call goes on trying while brokers restart, leaders move or coordinators load. */
const PATIENCE_MS = 30_000

/** Tries again what heals by itself, for up to 30 s or until the client is closed. */
export function patiently<T>(client: KafkaClient, attempt: () => Promise<T>): Promise<T> {
  return retrying(attempt, {
    retriable: (error) => error instanceof KafkaError && error.retriable,
    forMs: PATIENCE_MS,
    signal: client.closing,
  })
}

/** Asks the coordinator of a group, wherever it has moved. @param read throws the KafkaErrors of the answer */
export function askCoordinator<T, R>(
  client: KafkaClient,
  groupId: string,
  request: ApiRequest<T>,
  read: (answer: T) => R,
): Promise<R> {
  return patiently(client, async () => {
    try {
      return read(await client.send(await client.coordinatorOf('group', groupId), request, { groupId }))
    } catch (error) {
      if (error instanceof KafkaError && error.retriable) client.forgetCoordinator('group', groupId)
      throw error
    }
  })
}
