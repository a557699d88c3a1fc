import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import { bar, buildTestApp, type TestApp } from '../testing/fixture.js'
import { encodings } from './update.js'

// Real sockets: on a busy machine they take their time.
vi.setConfig({ testTimeout: 30_000 })

const apps: TestApp[] = []
const sockets: WebSocket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate()
  await Promise.all(apps.splice(0).map(({ app }) => app.close()))
})

async function listen(options: Parameters<typeof buildTestApp>[0] = {}): Promise<TestApp & { port: number }> {
  const built = await buildTestApp(options)
  apps.push(built)
  await built.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...built, port: (built.app.server.address() as AddressInfo).port }
}

type Received = Record<string, unknown> & { type: string }
interface Client {
  socket: WebSocket
  frames: Received[]
  closed: Promise<{ code: number; reason: string }>
  send(request: object | string): void
  next(type: string): Promise<Received>
}

/** Resolves when the server has welcomed us or told us why not. */
async function open(port: number, options: ClientOptions = {}): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, options)
  sockets.push(socket)
  const frames: Received[] = []
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Received))
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  const client: Client = {
    socket,
    frames,
    closed,
    send: (request) => socket.send(typeof request === 'string' ? request : JSON.stringify(request)),
    next: (type) =>
      vi.waitUntil(
        () => {
          const at = frames.findIndex((frame) => frame.type === type)
          return at === -1 ? undefined : frames.splice(0, at + 1)[at]
        },
        { timeout: 5_000, interval: 2 },
      ) as Promise<Received>,
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('message', () => resolve())
  })
  return client
}

async function refusal(port: number, options: ClientOptions): Promise<string> {
  return open(port, options).then(
    () => 'accepted',
    (error: Error) => error.message,
  )
}
const subscribe = (...symbols: string[]) => ({ op: 'subscribe', channel: 'prices', symbols })
const price = (symbol: string, value: number) => ({ symbol, price: value, volume: 1, time: value })
async function metric(app: TestApp, name: string): Promise<number> {
  const found = await app.registry.getSingleMetric(name)?.get()
  return (found?.values ?? []).reduce((sum, { value }) => sum + value, 0)
}

describe('a client', () => {
  test('is welcomed, subscribes, gets the snapshot and then every change in sequence', async () => {
    const { port, market } = await listen()
    market.price(price('BINANCE:BTCUSDT', 1))
    const client = await open(port)
    expect(await client.next('welcome')).toMatchObject({
      connection: expect.any(String) as string,
      heartbeatMs: 15_000,
    })
    client.send({ id: 'a', ...subscribe('BINANCE:BTCUSDT', 'FX:EUR/USD') })
    expect(await client.next('ack')).toEqual({
      type: 'ack',
      id: 'a',
      subscriptions: { prices: ['BINANCE:BTCUSDT', 'FX:EUR/USD'], bars: [] },
    })
    expect(await client.next('prices')).toMatchObject({ seq: 1, snapshot: true, data: [price('BINANCE:BTCUSDT', 1)] })
    market.price(price('FX:EUR/USD', 2))
    expect(await client.next('prices')).toEqual({
      type: 'prices',
      seq: expect.any(Number) as number,
      data: [price('FX:EUR/USD', 2)],
    })
    client.send({ op: 'subscribe', channel: 'bars', symbols: ['AAPL'] })
    await client.next('bars')
    market.bar(bar())
    expect(await client.next('bars')).toMatchObject({ data: [bar()] })
  })

  test('that writes nonsense is told 400 and stays', async () => {
    const { port } = await listen()
    const client = await open(port)
    client.send('{nonsense')
    expect(await client.next('error')).toMatchObject({ code: 400 })
    client.socket.send(Buffer.from([1, 2, 3]))
    expect(await client.next('error')).toMatchObject({ code: 400 })
    client.send({ op: 'ping', id: 1 })
    expect(await client.next('pong')).toEqual({ type: 'pong', id: 1 })
  })

  test('that writes too long a frame is closed with 1009, others do not notice', async () => {
    const { port } = await listen({ maxFrameBytes: 1_000 })
    const [bad, good] = [await open(port), await open(port)]
    bad.send('x'.repeat(1_001))
    expect(await bad.closed).toMatchObject({ code: 1009 })
    good.send({ op: 'ping' })
    await good.next('pong')
  })

  test('that breaks the protocol is cut off, others do not notice', async () => {
    const { port } = await listen()
    const good = await open(port)
    const raw = connect(port, '127.0.0.1')
    raw.on('error', () => undefined)
    const ended = new Promise((resolve) => raw.on('close', resolve))
    raw.write(
      'GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    raw.once('data', () => raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff])))
    await ended
    good.send({ op: 'ping' })
    await good.next('pong')
  })

  test('that pings by the protocol is ponged, one that does not answer pings is cut off', async () => {
    const { port, app, registry, ...rest } = await listen({ heartbeatMs: 1_000 })
    const mute = await open(port, { autoPong: false })
    const alive = await open(port)
    const ponged = new Promise((resolve) => alive.socket.once('pong', (data) => resolve(data.toString())))
    alive.socket.ping('hello')
    expect(await ponged).toBe('hello')
    expect(await mute.closed).toMatchObject({ code: 1006 })
    expect(alive.socket.readyState).toBe(WebSocket.OPEN)
    expect(await alive.next('heartbeat')).toMatchObject({ seq: expect.any(Number) as number })
    expect(await metric({ app, registry, ...rest }, 'candlewick_api_ws_closed_total')).toBe(1)
  })
})

describe('origins', () => {
  const from = (origin: string, host?: string) => ({ headers: { origin, ...(host !== undefined && { host }) } })

  test('our own page, a client without one and those allowed may connect', async () => {
    const { port } = await listen({ allowedOrigins: ['https://charts.example'] })
    expect(await refusal(port, {})).toBe('accepted')
    expect(await refusal(port, from(`http://127.0.0.1:${port}`))).toBe('accepted')
    expect(await refusal(port, from('https://charts.example'))).toBe('accepted')
    expect(await refusal(port, from('https://market.example', 'market.example'))).toBe('accepted')
    expect(await refusal(port, from('https://market.example', 'Market.example:443'))).toBe('accepted')
  })

  test.each([
    'https://evil.example',
    'null',
    '',
    'http://127.0.0.1',
    'http://127.0.0.1:1',
    'https://charts.example.evil.example',
    'https://charts.example:8443',
    'http://charts.example',
    'file://',
    'nonsense',
  ])('a page of %s is refused with 403 before the upgrade', async (origin) => {
    const { port } = await listen({ allowedOrigins: ['https://charts.example'] })
    expect(await refusal(port, from(origin))).toBe('Unexpected server response: 403')
  })

  test('the refusal is a problem with its reason', async () => {
    const { app } = await listen()
    const answer = await app.inject({ url: '/ws', headers: { origin: 'https://evil.example' } })
    expect(answer.statusCode).toBe(403)
    expect(answer.json()).toMatchObject({ type: 'urn:candlewick:problem:forbidden-origin', status: 403 })
  })
})

describe('limits', () => {
  test('one connection too many is told 406 and closed; when one leaves there is room again', async () => {
    const { port } = await listen({ maxConnections: 1 })
    const first = await open(port)
    const second = await open(port)
    expect(second.frames[0]).toMatchObject({ type: 'error', code: 406 })
    expect(await second.closed).toEqual({ code: 1013, reason: 'too many connections' })
    first.socket.close()
    await first.closed
    await vi.waitUntil(async () => (await open(port)).frames[0]?.type === 'welcome', { timeout: 5_000, interval: 20 })
  })

  test('a request for too many symbols is refused with 405', async () => {
    const { port } = await listen({ maxSubscriptions: 3 })
    const client = await open(port)
    client.send({ id: 5, ...subscribe('A', 'B', 'C', 'D') })
    expect(await client.next('error')).toMatchObject({ id: 5, code: 405 })
  })

  test('asked for without an upgrade it is 426', async () => {
    const { app } = await listen()
    const answer = await app.inject('/ws')
    expect(answer.statusCode).toBe(426)
    expect(answer.headers['upgrade']).toBe('websocket')
  })

  test('an upgrade of any other path is refused or closed', async () => {
    const { port } = await listen()
    const socket = new WebSocket(`ws://127.0.0.1:${port}/symbols`)
    sockets.push(socket)
    await new Promise<void>((resolve) => {
      socket.on('error', () => resolve())
      socket.on('close', () => resolve())
    })
  })
})

describe('many clients and slow ones', () => {
  test('100 clients of "*" cost one encoding per price, and all get the same', async () => {
    const { port, market } = await listen()
    const clients = await Promise.all(Array.from({ length: 100 }, () => open(port)))
    for (const client of clients) client.send(subscribe('*'))
    await Promise.all(clients.map((client) => client.next('prices')))
    const before = encodings.count
    const prices = Array.from({ length: 50 }, (_, index) => price(`S${index}`, index))
    for (const one of prices) market.price(one)
    const frames = await Promise.all(clients.map((client) => client.next('prices')))
    for (const frame of frames) expect(frame['data']).toEqual(prices)
    expect(encodings.count - before).toBe(50)
  })

  test('one that does not read loses no symbol and costs no memory: it gets the latest of each when it reads on', async () => {
    const server = await listen({ behindAboveBytes: 10_000, slowTimeoutMs: 60_000 })
    const { port, market } = server
    const [slow, fast] = [await open(port), await open(port)]
    slow.send(subscribe('*'))
    fast.send(subscribe('*'))
    await Promise.all([slow.next('prices'), fast.next('prices')])
    slow.socket.pause()

    // Until the kernel takes no more of it and the session begins to conflate.
    const symbols = Array.from({ length: 2_000 }, (_, index) => `SYMBOL-${index}-${'x'.repeat(40)}`)
    let round = 0
    await vi.waitUntil(
      async () => {
        round++
        for (const symbol of symbols) market.price(price(symbol, round))
        return (await metric(server, 'candlewick_api_ws_conflated_total')) > 20_000
      },
      { timeout: 30_000, interval: 10 },
    )
    const last = round
    // The fast one has not noticed.
    await vi.waitUntil(() => fast.frames.at(-1)?.['data'] !== undefined && lastPrice(fast) === last, {
      timeout: 5_000,
      interval: 5,
    })

    slow.socket.resume()
    await vi.waitUntil(() => lastPrice(slow) === last, { timeout: 10_000, interval: 5 })
    const latest = new Map<string, number>()
    for (const { data } of slow.frames as unknown as { data: { symbol: string; price: number }[] }[]) {
      for (const one of data) latest.set(one.symbol, one.price)
    }
    expect(latest.size).toBe(symbols.length)
    expect(new Set(latest.values())).toEqual(new Set([last]))
    const sequence = slow.frames.map(({ seq }) => seq as number)
    expect(sequence).toEqual([...sequence].sort((a, b) => a - b))
    expect(sequence.at(-1)! - sequence[0]! + 1, 'a hole says that frames were held back').toBeGreaterThan(
      sequence.length,
    )
  }, 60_000)

  test('one that is behind for too long is told 407 and closed', async () => {
    const server = await listen({ behindAboveBytes: 10_000, slowTimeoutMs: 300, closeTimeoutMs: 10_000 })
    const slow = await open(server.port)
    await stall(server, slow)
    slow.socket.resume()
    expect(await slow.next('error')).toMatchObject({
      code: 407,
      message: expect.stringMatching(/^too slow: \d+ updates/) as string,
    })
    expect(await slow.closed).toEqual({ code: 1008, reason: 'slow' })
  }, 60_000)

  test('one that never reads again is cut off after that, and its memory is given back', async () => {
    const server = await listen({ behindAboveBytes: 10_000, slowTimeoutMs: 300, closeTimeoutMs: 200 })
    const slow = await open(server.port)
    await stall(server, slow)
    const clients = () => metric(server, 'candlewick_api_ws_clients')
    await vi.waitUntil(async () => (await clients()) === 0, { timeout: 5_000, interval: 10 })
    expect(server.app.websocketServer.clients.size).toBe(0)
  }, 60_000)

  test('over all connections together no more is held than agreed: the fullest goes first', async () => {
    const server = await listen({ behindAboveBytes: 10_000, maxTotalUnsentBytes: 300_000, closeTimeoutMs: 100 })
    const [slow, fast] = [await open(server.port), await open(server.port)]
    fast.send(subscribe('*'))
    await stall(server, slow)
    await vi.waitUntil(() => server.app.websocketServer.clients.size === 1, { timeout: 5_000, interval: 10 })
    fast.send({ op: 'ping' })
    await fast.next('pong')
  }, 60_000)

  test('one that asks without end and reads nothing is not read any more, so nothing piles up', async () => {
    const server = await listen({ behindAboveBytes: 10_000, maxUnsentBytes: 50_000_000, maxSubscriptions: 500 })
    const greedy = await open(server.port)
    greedy.send(subscribe(...Array.from({ length: 500 }, (_, index) => `SYMBOL${index}`)))
    await greedy.next('prices')
    greedy.socket.pause()
    const [connection] = [...server.app.websocketServer.clients]
    const ask = (times: number): void => {
      for (let index = 0; index < times; index++) greedy.send(subscribe('SYMBOL1'))
    }
    // Each is answered with an acknowledgement a hundred times as long, until the kernel takes no more of them.
    await vi.waitUntil(
      () => {
        ask(100)
        return connection?.isPaused === true && connection.bufferedAmount > 10_000
      },
      { timeout: 30_000, interval: 5 },
    )
    const unsentBytes = connection?.bufferedAmount
    ask(1_000)
    const other = await open(server.port)
    for (let round = 0; round < 5; round++) {
      other.send({ op: 'ping' })
      await other.next('pong')
    }
    expect(connection).toMatchObject({ isPaused: true, readyState: WebSocket.OPEN, bufferedAmount: unsentBytes })
    expect(unsentBytes).toBeLessThan(3_000_000)
  }, 60_000)

  test('one that asks much at once is made to wait, and gets every answer', async () => {
    const { port } = await listen()
    const eager = await open(port)
    for (let id = 0; id < 1_000; id++) eager.send({ op: 'ping', id })
    await vi.waitUntil(() => eager.frames.at(-1)?.['id'] === 999, { timeout: 10_000, interval: 5 })
    expect(eager.frames.filter(({ type }) => type === 'pong').map(({ id }) => id)).toEqual([...Array(1_000).keys()])
  })
})

test('closing the API tells every client 1001 and does not wait for one that does not answer', async () => {
  const { port, app } = await listen({ closeTimeoutMs: 200 })
  const [good, mute] = [await open(port), await open(port)]
  mute.socket.pause()
  await app.close()
  expect(await good.closed).toEqual({ code: 1001, reason: 'the API is closing' })
  expect(app.websocketServer.clients.size).toBe(0)
})

/** Subscribes to everything, stops reading and lets the market move until we have closed somebody. */
async function stall(server: TestApp, client: Client): Promise<void> {
  client.send(subscribe('*'))
  await client.next('prices')
  client.socket.pause()
  let round = 0
  await vi.waitUntil(
    async () => {
      round++
      for (let index = 0; index < 2_000; index++) {
        server.market.price(price(`SYMBOL-${index}-${'x'.repeat(40)}`, round))
      }
      return (await metric(server, 'candlewick_api_ws_closed_total')) === 1
    },
    { timeout: 30_000, interval: 10 },
  )
}

function lastPrice(client: Client): number | undefined {
  const data = client.frames.at(-1)?.['data'] as { price: number }[] | undefined
  return data?.at(-1)?.price
}

describe('a request that offers another upgrade', () => {
  /** Sends bytes and resolves with everything that comes back until the connection is closed. */
  async function exchange(port: number, request: string): Promise<string> {
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }

  test.each(['/symbols/AAPL', '/healthz', '/nowhere', '/ws'])('is answered as if it had not: GET %s', async (path) => {
    const { port } = await listen()
    const plain = await fetch(`http://127.0.0.1:${port}${path}`)
    const answer = await exchange(
      port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    )
    expect(answer).toContain(`HTTP/1.1 ${plain.status} `)
    expect(answer.split('\r\n\r\n')[1]).toBe(await plain.text())
  })

  test('and bytes that are no request are answered with a problem', async () => {
    const { port } = await listen()
    const answer = await exchange(port, 'GET / HTTP/1.1\r\nbad header\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\nContent-Type: application\/problem\+json/)
  })
})
