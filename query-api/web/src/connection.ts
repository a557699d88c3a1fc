import { type ClientFrame, type Frame, parseFrame } from './protocol.js'
import { retryDelayMs } from './rest.js'

/** How the feed is, as the page says it. */
export type Link =
  | { kind: 'connecting' }
  | { kind: 'live' }
  /** Open, but nothing has come for longer than the server promised. */
  | { kind: 'stale'; sinceMs: number }
  | { kind: 'reconnecting'; atMs: number; reason: string }

/** How much later than promised a heartbeat may be, and how long an overdue server has to answer a ping. */
const GRACE_MS = 5000
const CONNECT_TIMEOUT_MS = 10_000

/**
 * One WebSocket to the API that comes back by itself: jittered backoff up to 15 s, at once when the network returns or
 * the page is looked at again. After each opening `onOpen` is called, and subscribes anew: the server keeps nothing.
 */
export class Connection {
  #socket: WebSocket | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #heardAtMs = 0
  #heartbeatMs = 15_000
  #reason = ''
  #link: Link = { kind: 'connecting' }

  constructor(
    private readonly listener: { onOpen(): void; onFrame(frame: Frame): void; onLink(link: Link): void },
    private readonly url: URL = feedAddress(),
  ) {
    addEventListener('online', () => this.#hurry())
    addEventListener('offline', () => this.#lost('this device is offline'))
    document.addEventListener('visibilitychange', () => !document.hidden && this.#hurry())
  }

  get link(): Link {
    return this.#link
  }

  start(): void {
    this.#open()
  }

  /** Sends when open. Otherwise nothing is lost: `onOpen` subscribes to what is wanted by then. */
  send(frame: ClientFrame): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame))
  }

  #open(): void {
    clearTimeout(this.#timer)
    const socket = new WebSocket(this.url)
    this.#socket = socket
    this.#timer = setTimeout(() => this.#lost('no answer'), CONNECT_TIMEOUT_MS)
    socket.addEventListener('open', () => {
      this.#reason = ''
      this.#heard()
      this.listener.onOpen()
    })
    socket.addEventListener('message', (message: MessageEvent<unknown>) => {
      if (socket !== this.#socket) return // what a given-up socket still had under way
      const frame = typeof message.data === 'string' ? parseFrame(message.data) : undefined
      if (frame?.type === 'welcome') this.#heartbeatMs = frame.heartbeatMs
      this.#heard()
      if (frame !== undefined) this.#take(frame)
    })
    socket.addEventListener('close', () => socket === this.#socket && this.#lost(this.#reason))
  }

  #take(frame: Frame): void {
    // Only what the server sends by itself proves that it serves; a server that accepts and drops keeps its backoff.
    if (frame.type === 'prices' || frame.type === 'bars' || frame.type === 'heartbeat') this.#failures = 0
    if (frame.type === 'error')
      this.#reason = frame.code === 407 ? 'this page was too slow for the feed' : frame.message
    this.listener.onFrame(frame)
  }

  #heard(): void {
    this.#heardAtMs = Date.now()
    if (this.#link.kind !== 'live') this.#say({ kind: 'live' })
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#overdue(), this.#heartbeatMs + GRACE_MS)
  }

  #overdue(): void {
    this.#say({ kind: 'stale', sinceMs: this.#heardAtMs })
    this.send({ op: 'ping' })
    this.#timer = setTimeout(() => this.#lost('the feed fell silent'), GRACE_MS)
  }

  #lost(reason: string): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
    clearTimeout(this.#timer)
    const delayMs = retryDelayMs(this.#failures++)
    this.#say({ kind: 'reconnecting', atMs: Date.now() + delayMs, reason })
    this.#timer = setTimeout(() => this.#open(), delayMs)
  }

  #hurry(): void {
    if (this.#socket === undefined) this.#open()
  }

  #say(link: Link): void {
    this.#link = link
    this.listener.onLink(link)
  }
}

/** `/ws` beside the page, under whatever prefix it is served. */
function feedAddress(): URL {
  const url = new URL('ws', document.baseURI)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url
}
