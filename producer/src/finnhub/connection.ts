import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { Clock } from '../clock.js'
import { readRetryAfter, type Ending } from './backoff.js'
import type { Endpoint } from './endpoint.js'

export interface ConnectionLimits {
  handshakeTimeoutMs: number
  /** Finnhub pings once a minute: nothing at all for this long means that the connection is dead. */
  silenceMs: number
  maxFrameBytes: number
}

export interface ConnectionEvents {
  onOpen(): void
  onMessage(raw: Buffer): void
}

/** How long a close is waited for before the socket is torn down. */
const CLOSE_WAIT_MS = 1_000
/** After a pause the messages that piled up come first; what is heard within this time may be old. */
const CATCH_UP_MS = 5_000

/** One WebSocket from its handshake to its close. `ended` resolves only when the socket is closed, and never rejects. */
export class Connection {
  readonly ended: Promise<Ending>
  /** Epoch milliseconds since when the connection is open; undefined while it is not yet. */
  openedAtMs: number | undefined
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #limits: ConnectionLimits
  #lastHeardAtMs: number
  #pausedAtMs: number | undefined
  #catchUp: { untilMs: number; pausedAtMs: number } | undefined
  #ending: Ending | undefined
  #released = Promise.resolve()
  #stopWatching = () => {}

  constructor(endpoint: Endpoint, clock: Clock, limits: ConnectionLimits, events: ConnectionEvents) {
    this.#clock = clock
    this.#limits = limits
    this.#lastHeardAtMs = clock.nowMs()
    const agent = endpoint.proxyAgent()
    const socket = new WebSocket(endpoint.withKey(), {
      handshakeTimeout: limits.handshakeTimeoutMs,
      maxPayload: limits.maxFrameBytes,
      perMessageDeflate: false,
      // Frames that are not UTF-8 are for the dead letters; ws would close the connection over them.
      skipUTF8Validation: true,
      finishRequest: (request) => {
        request.on('socket', (tcp) => (this.#released = released(tcp)))
        request.end()
      },
      ...(agent && { agent }),
    })
    this.#socket = socket
    socket.on('open', () => {
      this.openedAtMs = this.#lastHeardAtMs = clock.nowMs()
      this.#watch(limits.silenceMs)
      events.onOpen()
      if (this.#pausedAtMs !== undefined) socket.pause()
    })
    socket.on('message', (data) => {
      this.#lastHeardAtMs = clock.nowMs()
      events.onMessage(data as Buffer)
    })
    socket.on('ping', () => (this.#lastHeardAtMs = clock.nowMs()))
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      const retryAfterMs = readRetryAfter(response.headers['retry-after'], clock.nowMs())
      this.#ending = { kind: 'refused', status: response.statusCode ?? 0, retryAfterMs }
      socket.terminate()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const detail = endpoint.redact(error.message !== '' ? error.message : (error.code ?? 'an error without a text'))
      this.#ending ??= { kind: this.openedAtMs === undefined ? 'unreachable' : 'closed', detail }
    })
    this.ended = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#stopWatching()
        const text = endpoint.redact(reason.toString('utf8'))
        this.#ending ??= { kind: 'closed', detail: `closed with code ${code}${text === '' ? '' : ` (${text})`}` }
        const ending = this.#ending
        // After a handshake that failed the WebSocket is closed a moment earlier than what carries it.
        void this.#released.then(() => resolve(ending))
      })
    })
  }

  /**
   * When trades began to be missed, should the connection be over now. What is read right after a pause had piled up in
   * the meantime, so it tells nothing of when the other side went away: then it is the beginning of the pause.
   */
  lastHeardAtMs(): number {
    const behind = this.#catchUp && this.#clock.nowMs() < this.#catchUp.untilMs
    return this.#pausedAtMs ?? (behind ? this.#catchUp!.pausedAtMs : this.#lastHeardAtMs)
  }

  send(text: string): void {
    this.#socket.send(text, () => {})
  }

  pause(): void {
    this.#pausedAtMs ??= this.lastHeardAtMs()
    this.#socket.pause()
  }

  resume(): void {
    if (this.#pausedAtMs === undefined) return
    const nowMs = this.#clock.nowMs()
    this.#catchUp = { untilMs: nowMs + CATCH_UP_MS, pausedAtMs: this.#pausedAtMs }
    this.#pausedAtMs = undefined
    this.#lastHeardAtMs = nowMs
    this.#socket.resume()
  }

  /** Ends it with a WebSocket close, or without one when there is no answer within a second. */
  async close(): Promise<void> {
    const cancel = this.#clock.after(CLOSE_WAIT_MS, () => this.#socket.terminate())
    // A paused socket would not hear the answer.
    if (this.#pausedAtMs !== undefined || this.#socket.readyState !== WebSocket.OPEN) this.#socket.terminate()
    else this.#socket.close(1000)
    await this.ended
    cancel()
  }

  #watch(delayMs: number): void {
    this.#stopWatching = this.#clock.after(delayMs, () => {
      const silentMs = this.#clock.nowMs() - this.#lastHeardAtMs
      // A socket we do not read is silent by our own doing.
      if (this.#pausedAtMs !== undefined) return this.#watch(this.#limits.silenceMs)
      if (silentMs < this.#limits.silenceMs) return this.#watch(this.#limits.silenceMs - silentMs)
      this.#ending = { kind: 'silent', detail: `nothing came for ${Math.round(silentMs / 1000)} s` }
      this.#socket.terminate()
    })
  }
}

/** Resolves when the operating system has the connection back. (A socket calls itself `closed` before that.) */
function released(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}
