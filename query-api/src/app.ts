import type { FastifyInstance } from 'fastify'
import { addMonitoring, createHttpServer, type Check } from '@candlewick/service/http'
import type { Logger } from '@candlewick/service/logger'
import type { Clock, History, LiveState, TaskStatuses } from './dependencies.js'
import { addDocumentation } from './documentation.js'
import { measureRequests, type ApiMetrics } from './metrics.js'
import { addPage } from './page.js'
import { addProblems, answerUnreadable, sendUnexpected } from './problems.js'
import { barsRoute } from './routes/bars.js'
import { symbolRoutes } from './routes/symbol.js'
import { symbolsRoute } from './routes/symbols.js'
import { systemRoutes } from './routes/system.js'
import { tradesRoute } from './routes/trades.js'
import { addSecurity } from './security.js'
import { Hub, type HubOptions } from './ws/hub.js'
import type { LatestMarket } from './ws/latest-market.js'
import { webSocketRoute } from './ws/route.js'

export interface Dependencies {
  live: LiveState
  history: History
  tasks: TaskStatuses
  /** what the feed keeps up to date and the WebSocket sends */
  market: LatestMarket
  clock: Clock
  metrics: ApiMetrics
  log: Logger
  /** why the API should get no traffic just now; undefined = it should */
  ready: Check
}

export interface AppOptions extends HubOptions {
  /** origins besides our own whose pages may read answers and open WebSockets */
  allowedOrigins: readonly string[]
  maxFrameBytes: number
  /** where the page was built to */
  pageDirectory: string
}

/**
 * The gateway: REST, WebSocket, documentation and the page. Stateless but for the feed's latest values; it opens no
 * connection of its own, so a test can inject into it. Closing it closes the WebSockets (1001).
 */
export async function buildApp(dependencies: Dependencies, options: AppOptions): Promise<FastifyInstance> {
  const { live, history, tasks, market, clock, metrics, log } = dependencies
  const app = createHttpServer(log, {
    // Unknown and repeated parameters are refused with the reason instead of being dropped or guessed at.
    // (strictNumbers would leave 1e309, which is Infinity, out of the comparison with a maximum.)
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, useDefaults: true, strictNumbers: false } },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, _request, reply) => void sendUnexpected(error, reply),
  })
  // What is documented is held against the answers in the tests; in between JSON.stringify keeps every number's bits.
  app.setSerializerCompiler(() => JSON.stringify)
  const hub = new Hub(market, options, clock, metrics)

  await addSecurity(app, options.allowedOrigins)
  addProblems(app)
  measureRequests(app, metrics)
  await addDocumentation(app)
  await webSocketRoute(app, hub, options)
  symbolsRoute(app, live)
  symbolRoutes(app, live)
  barsRoute(app, live, history, clock)
  tradesRoute(app, live, history, clock)
  systemRoutes(app, live, tasks)
  addMonitoring(app, { registry: metrics.registry, ready: dependencies.ready })
  await addPage(app, options.pageDirectory)
  return app
}
