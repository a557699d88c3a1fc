import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Link } from './link.js'
import { REQUESTS, type RequestName } from './requests.js'

let server: Server
let link: Link
let received: string
const sockets: Socket[] = []

/** A request of Kafka's protocol, as far as the link looks at it. */
function request(name: RequestName, text: string): Buffer {
  const bytes = Buffer.alloc(6 + text.length)
  bytes.writeInt32BE(bytes.length - 4, 0)
  bytes.writeInt16BE(REQUESTS[name], 4)
  bytes.write(text, 6, 'ascii')
  return bytes
}

/** A server that answers everything with itself. */
beforeEach(async () => {
  received = ''
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      received += texts(bytes)
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

/** Without sizes and api keys. */
function texts(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^a-z]/g, '')
}

/** A client and all it was answered. */
async function client() {
  const socket = connect(link.port, '127.0.0.1')
  const seen = { answers: '', isClosed: false }
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.on('close', () => (seen.isClosed = true))
  socket.on('data', (bytes) => (seen.answers += texts(bytes)))
  await once(socket, 'connect')
  return { socket, seen }
}

async function echoed() {
  const { socket, seen } = await client()
  socket.write(request('Heartbeat', 'one'))
  await vi.waitFor(() => expect(seen.answers).toBe('one'))
  return { socket, seen }
}

test('a cut breaks what is connected, and the next connection works', async () => {
  const { seen } = await echoed()
  expect(link.cut()).toBe(1)
  await vi.waitFor(() => expect(seen.isClosed).toBe(true))
  await echoed()
})

test('a cut at the answers: the server has the request, the client never gets the answer', async () => {
  const { socket, seen } = await echoed()
  link.cutAtAnswers()
  socket.write(request('Heartbeat', 'two'))
  await vi.waitFor(() => expect(seen.isClosed).toBe(true))
  expect([received, seen.answers]).toEqual(['onetwo', 'one'])
  await echoed()
})

test('what is held up moves in neither direction, and arrives late', async () => {
  const { socket, seen } = await echoed()
  link.hold('isolation')
  socket.write(request('Heartbeat', 'two'))
  const late = await client()
  late.socket.write(request('Heartbeat', 'three'))
  // A connection past the link still works: time enough has passed for the held ones.
  const direct = connect((server.address() as AddressInfo).port, '127.0.0.1')
  sockets.push(direct)
  direct.write(request('Heartbeat', 'direct'))
  await once(direct, 'data')
  expect([received, seen.answers]).toEqual(['onedirect', 'one'])
  link.release('isolation')
  await vi.waitFor(() => expect([seen.answers, late.seen.answers]).toEqual(['onetwo', 'three']))
})

test('before a request: what is done then can keep it from the server', async () => {
  const { socket, seen } = await echoed()
  const cut = link.atRequest({ request: 'EndTxn', moment: 'before' }, () => link.cut(), 60_000)
  socket.write(Buffer.concat([request('Produce', 'two'), request('EndTxn', 'three')]))
  await cut
  await vi.waitFor(() => expect(seen.isClosed).toBe(true))
  expect(received).not.toContain('three')
})

test('before a request: one that is held back goes on when the link is released', async () => {
  const { socket, seen } = await echoed()
  const held = link.atRequest({ request: 'EndTxn', moment: 'before' }, () => link.hold('isolation'), 60_000)
  const bytes = request('EndTxn', 'two')
  socket.write(bytes.subarray(0, 3))
  setImmediate(() => socket.write(bytes.subarray(3)))
  await held
  link.release('isolation')
  await vi.waitFor(() => expect([received, seen.answers]).toEqual(['onetwo', 'onetwo']))
})

test('after a request: the server has all of it', async () => {
  const { socket } = await echoed()
  const cut = link.atRequest({ request: 'EndTxn', moment: 'after' }, () => link.cutAtAnswers(), 60_000)
  const bytes = request('EndTxn', 'two')
  for (const part of [bytes.subarray(0, 5), bytes.subarray(5, 8), bytes.subarray(8)]) socket.write(part)
  await cut
  await vi.waitFor(() => expect(received).toBe('onetwo'))
})

test('a request that does not come is not waited for longer than agreed', async () => {
  let isDone = false
  await link.atRequest({ request: 'EndTxn', moment: 'before' }, () => (isDone = true), 1)
  expect(isDone).toBe(true)
})
