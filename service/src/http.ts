import { fastify, LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Logger } from './logger.js'
import { StartError } from './process.js'

/** `undefined` = all is well; a text says what is not. */
export type Check = () => string | undefined

export interface MonitoringOptions {
  registry: Registry
  /** Fails only when a restart would help. */
  live?: Check
  /** Fails while the process should get no traffic. */
  ready: Check
}

/** A registry with the Node process's own metrics in it (`candlewick_nodejs_...`, `candlewick_process_...`). */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'candlewick_' })
  return registry
}

/** Requests are small: one that has not come in whole by then is dripped on purpose, or lost. */
const REQUEST_TIMEOUT_MS = 30_000

/** Fastify as every process of ours runs it: our log without a line per request, long symbol lists allowed in a path. */
export function createHttpServer(log: Logger, options: FastifyServerOptions = {}): FastifyInstance {
  return fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 1024 },
    ...options,
  }) as unknown as FastifyInstance
}

/** Adds GET /healthz, /readyz (200 or 503 with the reason) and /metrics (Prometheus text). */
export function addMonitoring(
  app: FastifyInstance,
  { registry, live = () => undefined, ready }: MonitoringOptions,
): void {
  const answer = (path: string, check: Check) =>
    app.get(path, { schema: { hide: true } as object }, async (_request, reply) => {
      const reason = check()
      return reply
        .code(reason === undefined ? 200 : 503)
        .send({ status: reason === undefined ? 'ok' : 'failing', reason })
    })
  answer('/healthz', live)
  answer('/readyz', ready)
  app.get('/metrics', { schema: { hide: true } as object }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
}

/**
 * Starts to listen.
 * @returns the URL it listens at
 * @throws StartError with what to do when the port is taken or not allowed
 */
export async function listen(
  app: FastifyInstance,
  where: { host: string; port: number; setting: string },
): Promise<string> {
  try {
    return await app.listen({ host: where.host, port: where.port })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EADDRINUSE') {
      throw new StartError(`port ${where.port} on ${where.host} is taken: free it or set ${where.setting}`, {
        cause: error,
      })
    }
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
      throw new StartError(`cannot listen on ${where.host}:${where.port} (${code}): set HOST or ${where.setting}`, {
        cause: error,
      })
    }
    throw error
  }
}
