import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/healthcheck-main.js', import.meta.url))

let close: (() => void) | undefined
afterEach(() => close?.())

/** A process whose /readyz answers so. */
async function readyz(status: number, body: string): Promise<number> {
  const server = createServer((request, answer) => {
    answer.writeHead(request.url === '/readyz' ? status : 404).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close = () => server.close()
  return (server.address() as AddressInfo).port
}

function check(port: string): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'TEST_PORT'], { env: { TEST_PORT: port } }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), said: stdout.trim() })
    })
  })
}

it('is healthy when the process beside it is ready', async () => {
  expect(await check(String(await readyz(200, '{"status":"ok"}')))).toEqual({ code: 0, said: '' })
})

it('is not healthy, and tells the reason, while the process is not ready', async () => {
  const body = '{"status":"failing","reason":"Kafka is not reachable"}'
  expect(await check(String(await readyz(503, body)))).toEqual({ code: 1, said: body })
})

it('is not healthy when nobody listens or the setting names no port', async () => {
  const port = await readyz(200, '')
  close!()
  expect(await check(String(port))).toMatchObject({ code: 1, said: expect.stringContaining('ECONNREFUSED') })
  expect(await check('')).toEqual({ code: 1, said: 'TEST_PORT names no port' })
})
