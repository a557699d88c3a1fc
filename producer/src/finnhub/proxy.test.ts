import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Registry } from 'prom-client'
import { afterEach, expect, it, vi } from 'vitest'
import { ProducerMetrics } from '../metrics.js'
import { RecordedEvents } from '../testing/recorded-events.js'
import { recordLog } from '../testing/recorded-log.js'
import { ScriptedFeed } from '../testing/scripted-feed.js'
import { Endpoint } from './endpoint.js'
import { FinnhubSource } from './source.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const KEY = 'c0ffee-secret-key'
const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of open.splice(0).reverse()) await close()
})

/** An HTTP proxy that tunnels everything to one port of this machine, whatever host was asked for. */
async function startProxy(port: number, status = 200) {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('connect', (request, client) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim())
    client.on('error', () => {})
    if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on('error', () => client.destroy())
    sockets.add(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { asked, host: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function start(url: string) {
  const events = new RecordedEvents()
  const logged = recordLog()
  const metrics = new ProducerMetrics(new Registry(), () => 0)
  const source = new FinnhubSource({ endpoint: new Endpoint(url, KEY), symbols: ['AAPL'], log: logged.log, metrics })
  open.push(() => source.stop())
  source.start(events)
  return { events, logged }
}

async function startFeed(): Promise<{ feed: ScriptedFeed; port: number }> {
  const feed = new ScriptedFeed()
  open.push(() => feed.close())
  return { feed, port: Number(new URL(await feed.start()).port) }
}

it('the feed is reached through the proxy of the environment, with its login, and neither secret is shown', async () => {
  const { feed, port } = await startFeed()
  const proxy = await startProxy(port)
  vi.stubEnv('HTTP_PROXY', `http://user:proxy-password@${proxy.host}`)
  vi.stubEnv('http_proxy', '')
  vi.stubEnv('NO_PROXY', '')
  vi.stubEnv('no_proxy', '')
  const { events, logged } = await start('ws://feed.example:8443')
  await until(() => expect(events.connections).toBe(1))
  expect(feed.requests[0]!.headers.host).toBe('feed.example:8443')
  const login = Buffer.from('user:proxy-password').toString('base64')
  expect(proxy.asked).toEqual([`feed.example:8443 Basic ${login}`])
  expect(logged.text()).not.toMatch(/c0ffee|proxy-password/)
})

it('a proxy that refuses is a reason to wait, told without secrets', async () => {
  const { port } = await startFeed()
  const proxy = await startProxy(port, 407)
  vi.stubEnv('HTTP_PROXY', `http://user:proxy-password@${proxy.host}`)
  vi.stubEnv('http_proxy', '')
  vi.stubEnv('NO_PROXY', '')
  vi.stubEnv('no_proxy', '')
  const { events, logged } = await start('ws://feed.example:8443')
  await until(() => expect(logged.of('cannot connect').length).toBeGreaterThan(0))
  expect(events.fatal).toEqual([])
  expect(logged.text()).not.toMatch(/c0ffee|proxy-password/)
})
