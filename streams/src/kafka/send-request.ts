import { KafkaError } from './errors.js'
import type { Broker } from './kafkajs-private.js'
import type { ApiRequest } from './protocol/api-request.js'
import { WireReader } from './wire/reader.js'
import { WireWriter } from './wire/writer.js'

const FETCH = 1

/**
 * Sends one request on the broker's connection for its kind and decodes the answer, with KafkaJS's queueing and time-outs.
 * @param onSent from here on it may have left
 * @throws what KafkaJS throws
 */
export async function sendRequest<T>(
  broker: Broker,
  request: ApiRequest<T>,
  requestTimeoutMs: number,
  onSent: () => void,
): Promise<T> {
  const { timeoutMs, apiKey, version, name } = request
  const encode = () => {
    const writer = new WireWriter()
    if (request.flexible) writer.tags()
    request.encode(writer)
    onSent()
    return Promise.resolve({ buf: writer.target, buffer: writer.bytes })
  }
  const decode = (bytes: Buffer) => {
    const reader = new WireReader(bytes)
    if (request.flexible) reader.tags()
    const answer = request.decode(reader)
    return Promise.resolve({ clientSideThrottleTime: throttleTimeMsOf(answer), answer })
  }
  const connection = await broker.connectionPool.getConnectionByRequest({ request: { apiKey } })
  return connection.send({
    request: { apiKey, apiVersion: version, apiName: name, encode },
    response: { decode, parse: ({ answer }) => Promise.resolve(answer) },
    requestTimeout: timeoutMs === undefined ? null : requestTimeoutMs + timeoutMs,
    logResponseError: false,
  })
}

/** KafkaJS keeps two connections per broker: one for fetches, one for everything else. */
export function connectionFor({ connectionPool }: Broker, apiKey: number) {
  return connectionPool.pool[apiKey === FETCH ? 1 : 0]
}

/** host:port */
export function addressOf({ connectionPool: { host, port } }: Broker): string {
  return `${host}:${port}`
}

/** @throws KafkaError UNSUPPORTED_VERSION that says what is needed and what the broker offers */
export function assertVersion(broker: Broker, { apiKey, version, name }: ApiRequest<unknown>): void {
  const range = broker.versions?.[apiKey]
  if (range !== undefined && version >= range.minVersion && version <= range.maxVersion) return
  const offered = range === undefined ? 'does not offer it' : `offers ${range.minVersion} to ${range.maxVersion}`
  throw KafkaError.named(
    'UNSUPPORTED_VERSION',
    { broker: addressOf(broker) },
    `${name} v${version} needed, broker ${offered}`,
  )
}

function throttleTimeMsOf(answer: unknown): number {
  const time = (answer as { throttleTimeMs?: unknown } | null | undefined)?.throttleTimeMs
  return typeof time === 'number' ? time : 0
}
