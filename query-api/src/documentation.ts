import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { readFileSync } from 'node:fs'
import { COMPONENTS, healthAnswer } from './schemas.js'
import { DOCS_SECURITY_POLICY } from './security.js'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** The routes every process of ours has; their handlers come from service/, what they mean is told here. */
const MONITORING: Readonly<Record<string, object>> = {
  '/healthz': {
    summary: 'Whether the process is well; 503 when a restart would help',
    response: { 200: healthAnswer('it is'), 503: healthAnswer('it is not, and why') },
  },
  '/readyz': {
    summary: 'Whether it can answer: Kafka was reached and the owners of partitions are known',
    response: { 200: healthAnswer('it can'), 503: healthAnswer('it cannot, and why') },
  },
  '/metrics': {
    summary: 'Prometheus metrics',
    response: {
      200: { description: 'text exposition format', content: { 'text/plain': { schema: { type: 'string' } } } },
    },
  },
}

/** OpenAPI 3.1 from the routes' schemas: /docs for people, /docs/json for machines. Call it before adding routes. */
export async function addDocumentation(app: FastifyInstance): Promise<void> {
  for (const component of COMPONENTS) app.addSchema(component)
  app.addHook('onRoute', (route) => {
    const monitoring = MONITORING[route.url]
    if (monitoring !== undefined && route.method === 'GET') route.schema = { tags: ['system'], ...monitoring }
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Candlewick',
        version,
        description:
          'Live prices, running averages and OHLCV bars. Errors are RFC 9457 problem details; times are epoch ms.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'live', description: 'from the processors’ stores' },
        { name: 'history', description: 'from Cassandra, overlaid with live state' },
        { name: 'system', description: 'the system itself' },
      ],
    },
    transformObject: (described) => {
      const document = 'openapiObject' in described ? described.openapiObject : described.swaggerObject
      for (const path of Object.values(document.paths ?? {}))
        for (const parameter of path?.get?.parameters ?? []) relax(parameter)
      return document
    },
    refResolver: { buildLocalReference: (json, _baseUri, _fragment, index) => String(json.$id ?? `schema-${index}`) },
  })
  await app.register(async (docs) => {
    docs.addHook('onSend', async (_request, reply, payload) => {
      const isPage = String(reply.getHeader('content-type')).startsWith('text/html') && typeof payload === 'string'
      return isPage ? payload.replace('<head>', `<head>\n      ${VIEWPORT}`) : payload
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: DOCS_SECURITY_POLICY,
      indexPrefix: '',
      theme: { title: 'Candlewick API', favicon: [], css: [{ filename: 'own.css', content: DOCS_STYLE }] },
    })
  })
}

/** A phone shows the page in its own width; Swagger UI's page has no such line and no setting for it. */
const VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'

/** Without Swagger UI's bar, which bears another project's name, and without a form for /ws, which cannot speak WebSocket. */
const DOCS_STYLE = `.swagger-ui .topbar, #operations-live-get_ws .try-out { display: none }
`

/** What has a default need not be given, which the generator does not see: validation fills defaults in before it checks. */
function relax(parameter: object): void {
  const { schema } = parameter as { schema?: { default?: unknown } }
  if (schema?.default !== undefined) Object.assign(parameter, { required: false })
}
