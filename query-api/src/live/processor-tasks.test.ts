import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { MemoryLiveState } from '../testing/fixture.js'
import { ProcessorTasks } from './processor-tasks.js'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A processor at a free port. */
async function processor(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function routing(endpoints: Record<string, string | null>) {
  const members = Object.entries(endpoints).map(([instance, endpoint]) => ({
    instance,
    endpoint,
    tasks: [],
    standbys: [],
  }))
  return { routing: () => ({ ...new MemoryLiveState().routing(), members }) }
}

test('every processor is asked with the token, and its tasks are told under its name', async () => {
  const asked: string[] = []
  const tasks = [{ taskId: '0_0', state: 'RUNNING' }]
  const endpoint = await processor((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`)
    response.end(JSON.stringify({ tasks }))
  })
  const gathered = await new ProcessorTasks(routing({ a: endpoint }), { token: 'secret' }).gather()
  expect(gathered).toEqual([{ instance: 'a', endpoint, tasks }])
  expect(asked).toEqual(['/tasks Bearer secret'])
})

test('one that is gone, refuses, answers nonsense or without end is told as an error; the others are told as ever', async () => {
  const endpoints = {
    good: await processor((_, response) => response.end('{"tasks":[]}')),
    gone: 'http://127.0.0.1:1',
    refuses: await processor((_, response) => response.writeHead(401).end()),
    nonsense: await processor((_, response) => response.end('<html>')),
    empty: await processor((_, response) => response.end('null')),
    endless: await processor((_, response) => {
      const write = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
      }
      response.on('drain', write)
      write()
    }),
    redirects: await processor((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()),
    hidden: null,
  }
  const gathered = await new ProcessorTasks(routing(endpoints), { timeoutMs: 20_000 }).gather()
  expect(gathered.map(({ instance, error }) => [instance, error === undefined])).toEqual(
    Object.keys(endpoints).map((instance) => [instance, instance === 'good']),
  )
  const errorOf = (name: string) => gathered.find(({ instance }) => instance === name)?.error
  expect(errorOf('refuses')).toBe('it answered 401')
  expect(errorOf('empty')).toBe('its answer has no tasks')
  expect(errorOf('endless')).toBe('its answer is too long')
}, 30_000)

test('one that is silent is not waited for longer than agreed', async () => {
  const endpoint = await processor(() => undefined)
  const [silent] = await new ProcessorTasks(routing({ silent: endpoint }), { timeoutMs: 100 }).gather()
  expect(silent).toEqual({ instance: 'silent', endpoint, error: expect.stringContaining('timeout') as string })
})
