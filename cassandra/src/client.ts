import { setTimeout as sleep } from 'node:timers/promises'
import { Client, errors, policies, types, type DseClientOptions } from 'cassandra-driver'
import type { CassandraConfig, ConsistencyName } from './settings.js'
import { mendControlConnection } from './driver-mends.js'
import { reasonOf } from './errors.js'

/** What our log needs of a log; pino fits. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const CONSISTENCY: Record<ConsistencyName, types.consistencies> = {
  ONE: types.consistencies.one,
  TWO: types.consistencies.two,
  THREE: types.consistencies.three,
  QUORUM: types.consistencies.quorum,
  ALL: types.consistencies.all,
  LOCAL_QUORUM: types.consistencies.localQuorum,
  EACH_QUORUM: types.consistencies.eachQuorum,
  LOCAL_ONE: types.consistencies.localOne,
}

/** Between attempts to reach a node that is away; the driver's own default grows to ten minutes. */
const RECONNECT_MS = { first: 250, longest: 5_000 }

/**
 * What every Cassandra since 2.2 speaks. Without it the driver asks for a version of DSE first and opens the connection anew when
 * that is refused; over TLS the refusal comes in two frames, the second of which frees a stream id that is free already, so
 * that two later requests share one and the second is never answered.
 */
const PROTOCOL_VERSION = types.protocolVersion.v4

/**
 * The driver's client with what all our uses share: prepared and idempotent statements, exact 64-bit numbers,
 * certificates checked, reconnection within seconds, nothing reported to anybody.
 * Statements name their keyspace; the client has none, so that it can connect before the keyspace exists.
 * @param special what one use wants different (timeouts, retry and speculative execution policies)
 */
export function createClient(config: CassandraConfig, special: DseClientOptions = {}): Client {
  const client = new Client({
    contactPoints: [...config.contactPoints],
    localDataCenter: config.localDataCenter,
    protocolOptions: { port: config.port, maxVersion: PROTOCOL_VERSION },
    ...(config.login && { credentials: config.login }),
    ...(config.tls && { sslOptions: { ...config.tls, rejectUnauthorized: true } }),
    encoding: { useBigIntAsLong: true },
    monitorReporting: { enabled: false },
    isMetadataSyncEnabled: true,
    ...special,
    queryOptions: {
      prepare: true,
      isIdempotent: true,
      consistency: CONSISTENCY[config.consistency],
      ...special.queryOptions,
    },
    policies: {
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(RECONNECT_MS.first, RECONNECT_MS.longest),
      ...special.policies,
    },
  })
  mendControlConnection(client)
  return client
}

/**
 * Connects as soon as Cassandra lets us: tries for ever, tells each new reason once.
 * A client that failed to connect is thrown away, a new one is made for every attempt.
 * @throws the signal's reason when aborted; nothing else
 */
export async function connectWhenUp(
  create: () => Client,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<Client> {
  const startedAtMs = performance.now()
  let told: string | undefined
  for (let pauseMs = RECONNECT_MS.first; ; pauseMs = Math.min(pauseMs * 2, RECONNECT_MS.longest)) {
    signal.throwIfAborted()
    const client = create()
    try {
      await client.connect()
      const seconds = Math.round((performance.now() - startedAtMs) / 1000)
      log.info({ seconds }, told === undefined ? 'connected to Cassandra' : `connected to Cassandra after ${seconds} s`)
      return client
    } catch (error) {
      await client.shutdown().catch(() => undefined)
      const reason = whyNotConnected(error)
      if (reason !== told) log.warn({ reason }, 'Cassandra cannot be reached: waiting for it')
      told = reason
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }
}

/** Codes of Node and OpenSSL for a certificate that one side does not accept, or another protocol than TLS. */
const TLS_CODE = /CERT|SELF_SIGNED|^UNABLE_TO_|^ERR_SSL_|^EPROTO$/

/** One line about why a client could not connect, with the settings to look at where waiting will not help. */
export function whyNotConnected(error: unknown): string {
  const reason = reasonOf(error)
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
  const inner = error instanceof errors.NoHostAvailableError ? Object.values((error.innerErrors ?? {}) as object) : []
  const causes: unknown[] = [error, ...inner]
  if (causes.some((cause) => cause instanceof errors.AuthenticationError)) {
    return `${reason}; look at CASSANDRA_USERNAME, CASSANDRA_PASSWORD`
  }
  const code = (cause: unknown) => (cause instanceof Error ? String((cause as NodeJS.ErrnoException).code) : '')
  if (causes.some((cause) => TLS_CODE.test(code(cause)))) {
    return `${reason}; look at CASSANDRA_SSL, CASSANDRA_SSL_CA_FILE, CASSANDRA_SSL_CERT_FILE`
  }
  // Either side hangs up like this when only one of them speaks TLS; so does a node that is going down.
  if (causes.some((cause) => code(cause) === 'ECONNRESET')) return `${reason}; does CASSANDRA_SSL fit the nodes?`
  return reason
}
