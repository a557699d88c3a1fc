import { validate } from '@readme/openapi-parser'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { bar, buildTestApp, NOW, type TestApp } from './testing/fixture.js'

interface Operation {
  parameters?: { name: string; required: boolean }[]
  summary?: string
  responses: Record<string, { content?: Record<string, { schema: object }> }>
}
interface Document {
  openapi: string
  paths: Record<string, { get?: Operation }>
  components: { schemas: Record<string, object> }
}

let subject: TestApp
let routes: string[]
let document: Document
let ajv: Ajv2020

beforeAll(async () => {
  subject = await buildTestApp({}, { instances: [{ instance: 'a', endpoint: null, error: 'x' }] })
  subject.history.keptBars.push(bar({ closed: true }))
  subject.history.keptTrades.push({ symbol: 'AAPL', timestamp: NOW, seq: '1', price: 1, volume: 1, conditions: null })
  await subject.app.ready()
  document = (await subject.app.inject('/docs/json')).json<Document>()
  routes = routesOf(subject.app)
  ajv = new Ajv2020({ strict: false })
  ajv.addSchema(document, 'api')
})
afterAll(() => subject.app.close())

test('the document is valid OpenAPI 3.1', async () => {
  expect(document.openapi).toBe('3.1.0')
  const result = await validate(structuredClone(document) as never)
  expect(result).toMatchObject({ valid: true })
})

test('every route is in it, with a summary and its answers', async () => {
  const documented = Object.keys(document.paths).sort()
  expect(documented).toEqual([
    '/healthz',
    '/metrics',
    '/readyz',
    '/symbols',
    '/symbols/{symbol}',
    '/symbols/{symbol}/avg',
    '/symbols/{symbol}/bars',
    '/symbols/{symbol}/trades',
    '/tasks',
    '/topology',
    '/ws',
  ])
  for (const path of documented) {
    const operation = document.paths[path]?.get
    expect(operation?.summary, path).toBeTruthy()
    expect(Object.keys(operation?.responses ?? {}), path).toContain(path === '/ws' ? '101' : '200')
  }
})

test('nothing answers that is not in it, but the page and the document itself', () => {
  const documented = Object.keys(document.paths).map((path) => path.replace('{symbol}', ':symbol'))
  const others = routes.filter((route) => !documented.includes(route) && !route.startsWith('/docs'))
  expect(others).toEqual(['/'])
  expect(routes).toEqual(expect.arrayContaining(documented))
})

describe('every answer is what the document says', () => {
  const withoutPrice = { last: null, lastTime: null, minute: null, day: null }
  test.each([
    ['/symbols', 200],
    ['/symbols?limit=1', 200],
    ['/symbols?limit=0', 400],
    ['/symbols/AAPL', 200],
    ['/symbols/QUIET', 200],
    ['/symbols/NOPE', 404],
    ['/symbols/AAPL/avg?window=5m', 200],
    ['/symbols/AAPL/avg', 200],
    ['/symbols/AAPL/avg?window=6s', 400],
    ['/symbols/AAPL/bars', 200],
    ['/symbols/AAPL/bars?limit=x', 400],
    ['/symbols/AAPL/trades', 200],
    ['/symbols/NOPE/trades', 404],
    ['/topology', 200],
    ['/tasks', 200],
    ['/healthz', 200],
    ['/readyz', 200],
    ['/ws', 426],
  ])('%s: %i', async (url, status) => {
    subject.live.know('QUIET', withoutPrice)
    const answer = await subject.app.inject(url)
    expect(answer.statusCode).toBe(status)
    const path = url.replace(/\?.*/, '').replace(/^\/symbols\/[^/]+/, '/symbols/{symbol}')
    const content = document.paths[path]?.get?.responses[String(status)]?.content
    const type = String(answer.headers['content-type']).replace(/;.*/, '')
    expect(Object.keys(content ?? {})).toEqual([type])
    const pointer = ['paths', path, 'get', 'responses', String(status), 'content', type, 'schema']
      .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/')
    const check = ajv.compile({ $ref: `api#/${pointer}` })
    expect(check(answer.json()), JSON.stringify(check.errors)).toBe(true)
  })

  test('and the schemas refuse what they should', () => {
    const check = ajv.compile({ $ref: 'api#/components/schemas/Bar' })
    expect(check(bar())).toBe(true)
    expect(check({ ...bar(), open: 'x' })).toBe(false)
    expect(check({ ...bar(), vwap: undefined })).toBe(false)
  })
})

test('the document for people is served with scripts of our own only', async () => {
  const page = await subject.app.inject({ url: '/docs', headers: { accept: 'text/html' } })
  const answer = page.statusCode === 302 ? await subject.app.inject(String(page.headers.location)) : page
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['content-security-policy']).toContain("script-src 'self'")
  expect(answer.headers['content-security-policy']).not.toContain('upgrade-insecure-requests')
  const scripts = [...answer.body.matchAll(/<script[^>]*>/g)].map(([tag]) => tag)
  expect(scripts.length).toBeGreaterThan(0)
  for (const script of scripts) expect(script).toMatch(/src="\.?\/[^/]/)
  expect(answer.body).toContain('<title>Candlewick API</title>')
  expect(answer.body).toContain('name="viewport"')
})

/** The paths of all GET routes, from the router's own tree. */
function routesOf(app: FastifyInstance): string[] {
  const above: string[] = []
  const found: string[] = []
  for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
    const match = /^(.*?)[├└]── (\S*)( \(.*GET.*\))?/.exec(line)
    if (match === null) continue
    const depth = match[1]!.length / 4
    above.length = depth
    above.push(match[2]!)
    if (match[3] !== undefined) found.push(above.join(''))
  }
  return found
}

test('what has a default need not be given', () => {
  const parameters = (document.paths['/symbols/{symbol}/bars']?.get?.parameters ?? []).map(
    ({ name, required }) => `${name}${required ? '' : '?'}`,
  )
  expect(parameters.sort()).toEqual(['from?', 'interval?', 'limit?', 'maxStaleMs?', 'symbol', 'to?'])
})
