import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { addMonitoring, createHttpServer } from '@candlewick/service/http'
import type { Logger } from '@candlewick/service/logger'
import type { KafkaStreams } from '@candlewick/streams'
import { queryRoutes, type QueryableStreams } from '@candlewick/streams/queries/query-server'
import { marketQueries } from './queries.js'
import type { BarWindows } from './topology.js'

export interface AppOptions {
  streams: QueryableStreams & Pick<KafkaStreams, 'state' | 'tasks'>
  windows: BarWindows
  registry: Registry
  token: string
  log: Logger
}

/** The HTTP side of a processor: its queries and tasks for the query API, health and metrics for who operates it. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { streams, windows, registry, token, log } = options
  const app = createHttpServer(log)
  addMonitoring(app, {
    registry,
    live: () => (streams.state === 'ERROR' ? 'the application stopped' : undefined),
    ready: () => (streams.state === 'RUNNING' ? undefined : `the application is ${streams.state}`),
  })
  const queries = queryRoutes({ streams, queries: marketQueries(windows), token })
  await app.register(async (internal) => {
    // The check of the token that comes with the queries holds for the whole scope.
    await queries(internal)
    internal.get('/tasks', () => ({ tasks: streams.tasks() }))
  })
  return app
}
