import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Link } from './link.js'

let server: Server
let link: Link
let received: string
const sockets: Socket[] = []

/** A server that answers everything with itself. */
beforeEach(async () => {
  received = ''
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      received += bytes.toString()
      socket.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  link = new Link({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  await link.open(0)
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await link.close()
  server.close()
})

/** A client and all it was answered. */
async function client() {
  const socket = connect(link.port, '127.0.0.1')
  const seen = { answers: '', isClosed: false }
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.on('close', () => (seen.isClosed = true))
  socket.on('data', (bytes) => (seen.answers += bytes.toString()))
  await once(socket, 'connect')
  return { socket, seen }
}

async function echoed() {
  const { socket, seen } = await client()
  socket.write('one')
  await vi.waitFor(() => expect(seen.answers).toBe('one'))
  return { socket, seen }
}

test('a cut breaks what is connected, and the next connection works', async () => {
  const { seen } = await echoed()
  expect(link.cut()).toBe(1)
  await vi.waitFor(() => expect(seen.isClosed).toBe(true))
  await echoed()
})

test('a cut mid-request: the server has the request, the client never gets the answer', async () => {
  const { socket, seen } = await echoed()
  link.cutMidRequest()
  socket.write('two')
  await vi.waitFor(() => expect(seen.isClosed).toBe(true))
  expect([received, seen.answers]).toEqual(['onetwo', 'one'])
  await echoed()
})

test('what is held up moves in neither direction, and arrives late', async () => {
  const { socket, seen } = await echoed()
  link.hold()
  socket.write('two')
  const late = await client()
  late.socket.write('three')
  // A connection past the link still works: time enough has passed for the held ones.
  const direct = connect((server.address() as AddressInfo).port, '127.0.0.1')
  sockets.push(direct)
  direct.write('direct')
  await once(direct, 'data')
  expect([received, seen.answers]).toEqual(['onedirect', 'one'])
  link.release()
  await vi.waitFor(() => expect([seen.answers, late.seen.answers]).toEqual(['onetwo', 'three']))
})
