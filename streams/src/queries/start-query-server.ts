import { fastify } from 'fastify'
import type { Query, QueryableStreams } from './answer.js'
import { queryRoutes } from './query-server.js'

/** Where to listen, who may ask, and what can be asked besides the stores. */
export interface StartQueryServerOptions {
  /** Where to listen; by default only this machine can ask. */
  host?: string
  /** 0 = any that is free. Others find it by the `endpoint` that the application was told. */
  port: number
  /** When set, callers must send it as `Authorization: Bearer <token>`. Without it, whoever reaches the port can read. */
  token?: string
  /** The application's own queries, by name; its stores can be read without any. */
  queries?: Readonly<Record<string, Query>>
}

/** A server that listens. */
export interface QueryServer {
  readonly url: string
  /** Ends every connection. */
  close(): Promise<void>
}

/** A request is one line: what has not come in by then is not meant to. */
const REQUEST_TIMEOUT_MS = 10_000
/** A connection on which nothing moves for so long is cut: answers that nobody reads would be held for ever. */
const CONNECTION_TIMEOUT_MS = 60_000
/** Each may hold a page of 4 MiB, encoded, until it is read; what comes above that is refused. */
const MAX_CONNECTIONS = 512

/**
 * Answers queries about an application over HTTP. Open it before `streams.start()` and close it after `streams.close()`,
 * so that nobody is sent to a closed port.
 */
export async function startQueryServer(
  streams: QueryableStreams,
  { host = '127.0.0.1', port, token, queries = {} }: StartQueryServerOptions,
): Promise<QueryServer> {
  const app = fastify({
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
  })
  app.server.maxConnections = MAX_CONNECTIONS
  await app.register(queryRoutes({ streams, queries, ...(token !== undefined && { token }) }))
  const url = await app.listen({ host, port })
  return { url, close: () => app.close() }
}
