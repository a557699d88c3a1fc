import type { FastifyInstance } from 'fastify'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { encodings } from './ws/update.js'

const PREFIX = 'candlewick_api_'

/** What the API measures of itself; names and labels are read by the dashboards. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  new Counter({
    name: `${PREFIX}ws_encodings_total`,
    help: 'Prices and bars turned into JSON for the feed; does not grow with the number of clients',
    registers,
    collect() {
      this.reset()
      this.inc(encodings.count)
    },
  })
  return {
    registry,
    requests: new Counter({
      name: `${PREFIX}requests_total`,
      help: 'HTTP requests answered, by route pattern and status',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    latency: new Histogram({
      name: `${PREFIX}request_duration_seconds`,
      help: 'Time from request to the end of its answer, by route pattern',
      labelNames: ['route'] as const,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    wsClients: new Gauge({ name: `${PREFIX}ws_clients`, help: 'WebSocket connections open now', registers }),
    wsOpened: new Counter({ name: `${PREFIX}ws_opened_total`, help: 'WebSocket connections accepted', registers }),
    wsFrames: new Counter({
      name: `${PREFIX}ws_frames_total`,
      help: 'WebSocket frames handed to sockets, by type',
      labelNames: ['type'] as const,
      registers,
    }),
    wsBytes: new Counter({ name: `${PREFIX}ws_bytes_total`, help: 'Bytes of those frames', registers }),
    wsConflated: new Counter({
      name: `${PREFIX}ws_conflated_total`,
      help: 'Prices and bars replaced by a later one because a client was slow',
      registers,
    }),
    wsClosed: new Counter({
      name: `${PREFIX}ws_closed_total`,
      help: 'WebSocket connections closed by us, by reason (slow, dead, too many)',
      labelNames: ['reason'] as const,
      registers,
    }),
    feedRecords: new Counter({
      name: `${PREFIX}feed_records_total`,
      help: 'Records read for the feed, by topic',
      labelNames: ['topic'] as const,
      registers,
    }),
    feedLag: new Gauge({
      name: `${PREFIX}feed_lag_records`,
      help: 'Records the feed has still to read, by partition, as of its last fetch',
      labelNames: ['topic', 'partition'] as const,
      registers,
    }),
    feedUndecodable: new Counter({
      name: `${PREFIX}feed_undecodable_total`,
      help: 'Records the feed could not decode and passed over, by topic',
      labelNames: ['topic'] as const,
      registers,
    }),
  }
}
export type ApiMetrics = ReturnType<typeof createMetrics>

/** Counts and times every request under its route's pattern, so the number of series does not grow with what is asked. */
export function measureRequests(app: FastifyInstance, metrics: ApiMetrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    metrics.requests.inc({ method: request.method, route, status: reply.statusCode })
    metrics.latency.observe({ route }, reply.elapsedTime / 1_000)
  })
}
