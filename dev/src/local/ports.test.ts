import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts, isPortFree } from './ports.js'

test('a port is free until somebody listens on it, and again afterwards', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  expect(await isPortFree(port)).toBe(false)
  server.close()
  await once(server, 'close')
  expect(await isPortFree(port)).toBe(true)
})

test('free ports are free, differ, and lie where no outgoing connection takes them', async () => {
  const ports = (await Promise.all([freePorts(20), freePorts(20)])).flat()
  expect(new Set(ports).size).toBe(40)
  expect(ports.every((port) => port < 32_768)).toBe(true)
  for (const port of ports) {
    const server = createServer().listen(port, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
  }
})
