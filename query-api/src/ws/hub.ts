import { randomUUID } from 'node:crypto'
import type { WebSocket } from '@fastify/websocket'
import type { Counter } from 'prom-client'
import type { Clock } from '../dependencies.js'
import type { ApiMetrics } from '../metrics.js'
import type { LatestMarket } from './latest-market.js'
import { Session, type Action, type Frame, type SessionLimits } from './session.js'

export interface HubOptions extends SessionLimits {
  flushMs: number
  maxConnections: number
  /** Over all connections; beyond it the one that holds most is closed as slow. */
  maxTotalUnsentBytes: number
  /** How long a peer has to answer a close frame before its socket is destroyed. */
  closeTimeoutMs: number
}

/** Requests read of one connection between two flushes; then its socket is not read until the next. */
const REQUESTS_PER_FLUSH = 50

/** Over the limit, so many connections are told 406 at the same time; more than that are refused before the upgrade. */
export const REFUSALS_AT_ONCE = 50

/** RFC 6455, 7.4.1 and its registry: going away; try again later. */
const CLOSE_GOING_AWAY = 1001
const CLOSE_TRY_AGAIN_LATER = 1013

interface Connection {
  socket: WebSocket
  session: Session
  requests: number
  countedConflated: number
}

const FRAME_END = Buffer.from(']}')

/** The bytes of a frame; what is shared is copied, not encoded again. */
function bytesOf({ text, shared }: Frame): Buffer {
  return shared === undefined ? Buffer.from(text) : Buffer.concat([Buffer.from(text), shared, FRAME_END])
}

/** All WebSocket connections: carries out what their sessions decide, and drives them by one timer. */
export class Hub {
  readonly #connections = new Set<Connection>()
  readonly #refused = new Set<WebSocket>()
  readonly #timer: NodeJS.Timeout
  #closed: Promise<void> | undefined

  constructor(
    private readonly market: LatestMarket,
    private readonly options: HubOptions,
    private readonly clock: Clock,
    private readonly metrics: ApiMetrics,
  ) {
    this.#timer = setInterval(() => this.flush(), options.flushMs)
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Whether a further connection could at least be told that there are too many. */
  get canAnswer(): boolean {
    return this.#closed === undefined && this.#refused.size < REFUSALS_AT_ONCE
  }

  /** Takes over a socket right after its upgrade. */
  accept(socket: WebSocket): void {
    if (this.#connections.size >= this.options.maxConnections || this.#closed !== undefined) {
      this.#refuse(socket)
      return
    }
    const session = new Session(randomUUID(), this.options, this.clock.elapsedMs())
    const connection: Connection = { socket, session, requests: 0, countedConflated: 0 }
    this.#connections.add(connection)
    this.metrics.wsClients.set(this.#connections.size)
    this.metrics.wsOpened.inc()

    socket.on('message', (data: Buffer, isBinary: boolean) => {
      const now = this.clock.elapsedMs()
      this.#perform(
        connection,
        isBinary
          ? session.receiveBinary(socket.bufferedAmount, now)
          : session.receive(data.toString('utf8'), socket.bufferedAmount, now, this.market),
      )
      this.#restrain(connection)
    })
    socket.on('ping', (data: Buffer) => {
      session.heard(this.clock.elapsedMs())
      if (socket.bufferedAmount <= this.options.behindAboveBytes) socket.pong(data)
      this.#restrain(connection)
    })
    socket.on('pong', () => {
      session.heard(this.clock.elapsedMs())
      this.#restrain(connection)
    })
    socket.on('close', () => {
      this.#connections.delete(connection)
      this.metrics.wsClients.set(this.#connections.size)
    })
    this.#perform(connection, session.open(this.clock.elapsedMs()))
  }

  /** Sends what has changed since the last flush; called by the timer. */
  flush(): void {
    const update = this.market.takeUpdate()
    const now = this.clock.elapsedMs()
    let totalUnsentBytes = 0
    let fullest: { connection: Connection; bytes: number } | undefined
    for (const connection of this.#connections) {
      const { socket, session } = connection
      this.#perform(connection, session.turn(update, socket.bufferedAmount, now))
      this.#release(connection)
      const bytes = socket.bufferedAmount + session.heldBytes
      totalUnsentBytes += bytes
      if (fullest === undefined || bytes > fullest.bytes) fullest = { connection, bytes }
    }
    if (totalUnsentBytes > this.options.maxTotalUnsentBytes && fullest !== undefined) {
      this.#perform(fullest.connection, fullest.connection.session.closeSlow(now))
    }
  }

  /** Says 1001 to everybody, waits for their answers as long as agreed, then destroys what is left. */
  close(): Promise<void> {
    return (this.#closed ??= this.#closeAll())
  }

  async #closeAll(): Promise<void> {
    clearInterval(this.#timer)
    const sockets = [...this.#refused, ...[...this.#connections].map(({ socket }) => socket)]
    await Promise.all(sockets.map((socket) => this.#end(socket, CLOSE_GOING_AWAY, 'the API is closing')))
  }

  #refuse(socket: WebSocket): void {
    this.#refused.add(socket)
    this.metrics.wsClosed.inc({ reason: 'too many' })
    const message = `too many connections: at most ${this.options.maxConnections}`
    socket.send(JSON.stringify({ type: 'error', code: 406, message }))
    void this.#end(socket, CLOSE_TRY_AGAIN_LATER, 'too many connections').then(() => this.#refused.delete(socket))
  }

  #perform(connection: Connection, actions: readonly Action[]): void {
    const { socket, session } = connection
    if (socket.readyState !== socket.OPEN) return
    for (const action of actions) {
      switch (action.kind) {
        case 'send': {
          const bytes = bytesOf(action.frame)
          socket.send(bytes, { binary: false })
          this.metrics.wsFrames.inc({ type: action.frame.type })
          this.metrics.wsBytes.inc(bytes.length)
          break
        }
        case 'ping':
          socket.ping()
          break
        case 'close':
          this.metrics.wsClosed.inc({ reason: action.reason })
          void this.#end(socket, action.code, action.reason)
          break
        case 'terminate':
          this.metrics.wsClosed.inc({ reason: action.reason })
          socket.terminate()
      }
    }
    count(this.metrics.wsConflated, session.conflated - connection.countedConflated)
    connection.countedConflated = session.conflated
  }

  /** Stops reading of a peer that asks much or does not read what it asked for; TCP makes it wait. */
  #restrain(connection: Connection): void {
    const { socket } = connection
    connection.requests++
    if (socket.isPaused || socket.readyState !== socket.OPEN) return
    if (connection.requests >= REQUESTS_PER_FLUSH || socket.bufferedAmount > this.options.behindAboveBytes) {
      socket.pause()
    }
  }

  #release(connection: Connection): void {
    connection.requests = 0
    const { socket } = connection
    if (socket.isPaused && socket.bufferedAmount <= this.options.behindAboveBytes) socket.resume()
  }

  /** Closes by the book, by force when the peer does not answer. Resolves when the socket is gone. */
  #end(socket: WebSocket, code: number, reason: string): Promise<void> {
    if (socket.readyState === socket.CLOSED) return Promise.resolve()
    return new Promise((resolve) => {
      const force = setTimeout(() => socket.terminate(), this.options.closeTimeoutMs)
      socket.once('close', () => {
        clearTimeout(force)
        resolve()
      })
      socket.resume() // a paused socket would never see the peer's answer
      socket.close(code, reason)
    })
  }
}

function count(counter: Counter, by: number): void {
  if (by > 0) counter.inc(by)
}
