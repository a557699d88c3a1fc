import { STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { addMonitoring, createHttpServer, createRegistry, listen } from '@candlewick/service/http'
import type { Logger } from '@candlewick/service/logger'
import { WebSocketServer, type WebSocket } from 'ws'
import { Audience, Client } from './audience.js'
import { readFault, type Fault } from './faults.js'
import type { Feed } from './feed.js'

const PING_MS = 60_000
const PING = '{"type":"ping"}'
const POLICY_VIOLATION = 1008

/** A stand-in for Finnhub's WebSocket: same frames, same refusals, and faults on request by HTTP on the same port. */
export class Exchange {
  readonly #feed: Feed
  readonly #log: Logger
  readonly #app
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 64 * 1024 })
  readonly #audience = new Audience()
  #refusal: { status: number; untilMs: number } | undefined
  #connections = 0
  #pinging: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  constructor(feed: Feed, log: Logger) {
    this.#feed = feed
    this.#log = log
    this.#app = createHttpServer(log)
    addMonitoring(this.#app, { registry: createRegistry(), ready: () => undefined })
    this.#app.get('/status', () => this.status())
    this.#app.post('/faults', async (request, reply) => {
      const fault = readFault(request.body)
      if (typeof fault === 'string') return reply.code(400).send({ error: fault })
      this.fault(fault)
      return fault.kind === 'garbage'
        ? { ...fault, frames: fault.frames.map((frame) => frame.toString('base64')) }
        : fault
    })
    this.#app.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  /** @returns the URL to connect a WebSocket to */
  async start(where: { host: string; port: number }): Promise<string> {
    const url = await listen(this.#app, { ...where, setting: 'EXCHANGE_PORT' })
    this.#feed.start(this.#audience)
    this.#pinging = setInterval(() => this.#ping(), PING_MS)
    return url.replace(/^http/, 'ws')
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      clearInterval(this.#pinging)
      for (const { socket } of this.#audience.clients) socket.terminate()
      const stopped = this.#feed.stop()
      this.#audience.close()
      await stopped
      await this.#app.close()
    })()
    return this.#closed
  }

  status() {
    return {
      ...this.#feed.status(),
      /** Accepted since the start. */
      connections: this.#connections,
      clients: this.#audience.clients.map(({ everything, symbols, bufferedBytes }) => ({
        subscriptions: everything ? '*' : symbols.size,
        bufferedBytes,
      })),
      silent: this.#audience.isSilent,
      refusing: this.#refusedStatus() ?? null,
    }
  }

  fault(fault: Fault): void {
    this.#log.info({ fault: fault.kind }, 'a fault on request')
    const clients = this.#audience.clients
    switch (fault.kind) {
      case 'drop':
        if (fault.seconds > 0) this.#refuse(502, fault.seconds)
        for (const { socket } of clients) socket.terminate()
        return
      case 'error':
        for (const client of clients) client.send(JSON.stringify({ type: 'error', msg: fault.message }))
        return
      case 'silence':
        return this.#audience.silence(fault.seconds * 1000)
      case 'garbage':
        for (const client of clients) for (const frame of fault.frames) client.send(frame)
        return
      case 'refuse':
        return this.#refuse(fault.status, fault.seconds)
      case 'none':
        this.#refusal = undefined
        return this.#audience.silence(0)
    }
  }

  #refuse(status: number, seconds: number): void {
    this.#refusal = { status, untilMs: Date.now() + seconds * 1000 }
  }

  #refusedStatus(): number | undefined {
    return this.#refusal && Date.now() < this.#refusal.untilMs ? this.#refusal.status : undefined
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const token = new URL(request.url ?? '/', 'ws://exchange').searchParams.get('token') ?? ''
    const status = this.#refusedStatus() ?? (token === '' ? 401 : undefined)
    if (status !== undefined) return this.#answer(socket, status)
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#welcome(webSocket, token))
  }

  #answer(socket: Duplex, status: number): void {
    const seconds = Math.ceil(((this.#refusal?.untilMs ?? 0) - Date.now()) / 1000)
    const retry = status === 429 ? `Retry-After: ${Math.max(1, seconds)}\r\n` : ''
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`,
    )
  }

  #welcome(socket: WebSocket, token: string): void {
    this.#connections++
    socket.on('error', (error) => this.#log.debug({ err: error }, 'a client broke off'))
    if (this.#audience.clients.some((client) => client.token === token)) {
      // Finnhub takes one connection per key and closes a second one.
      return socket.close(POLICY_VIOLATION, 'one connection per key')
    }
    const client = new Client(token, socket)
    this.#audience.add(client)
    socket.on('close', () => this.#audience.remove(client))
    socket.on('message', (data) => this.#request(client, data as Buffer))
  }

  #request(client: Client, data: Buffer): void {
    const request = parse(data)
    const symbol = request?.['symbol']
    const type = request?.['type']
    if ((type !== 'subscribe' && type !== 'unsubscribe') || typeof symbol !== 'string') {
      return client.send(JSON.stringify({ type: 'error', msg: 'Invalid message' }))
    }
    if (symbol === '*') client.everything = type === 'subscribe'
    else if (type === 'unsubscribe') client.symbols.delete(symbol)
    else if (this.#feed.has(symbol)) client.symbols.add(symbol)
    else return client.send(JSON.stringify({ type: 'error', msg: `Invalid symbol ${symbol}` }))
    this.#audience.changed()
  }

  #ping(): void {
    if (this.#audience.isSilent) return
    for (const client of this.#audience.clients) client.send(PING)
  }
}

function parse(data: Buffer): Record<string, unknown> | undefined {
  try {
    const request: unknown = JSON.parse(data.toString('utf8'))
    return typeof request === 'object' && request !== null ? (request as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
