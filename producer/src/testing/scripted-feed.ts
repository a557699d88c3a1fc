import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'

/** How a handshake is answered: with an upgrade, with an HTTP status, or not at all. */
export type Answer = 'accept' | 'ignore' | { status: number; headers?: string }

/** A feed that does what a test tells it. */
export class ScriptedFeed {
  answer: Answer = 'accept'
  readonly sockets: WebSocket[] = []
  /** The frames of each connection, in the order of `sockets`. */
  readonly received: string[][] = []
  readonly requests: IncomingMessage[] = []
  readonly #open = new Set<Socket>()
  readonly #http = createServer()
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })

  constructor() {
    this.#http.on('connection', (connection) => {
      this.#open.add(connection)
      connection.on('close', () => this.#open.delete(connection))
      connection.on('error', () => {})
    })
    this.#http.on('upgrade', (request, connection, head) => {
      this.requests.push(request)
      const { answer } = this
      if (answer === 'ignore') {
        connection.on('end', () => connection.destroy()).resume()
        return
      }
      if (answer !== 'accept') {
        connection.end(`HTTP/1.1 ${answer.status} X\r\n${answer.headers ?? ''}Content-Length: 0\r\n\r\n`)
        return
      }
      this.#sockets.handleUpgrade(request, connection, head, (socket) => {
        const frames: string[] = []
        this.sockets.push(socket)
        this.received.push(frames)
        socket.on('error', () => {})
        socket.on('message', (data) => frames.push((data as Buffer).toString()))
      })
    })
  }

  async start(): Promise<string> {
    this.#http.listen(0, '127.0.0.1')
    await once(this.#http, 'listening')
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  get latest(): WebSocket {
    return this.sockets.at(-1)!
  }

  send(frame: unknown): void {
    this.latest.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame), {
      binary: false,
    })
  }

  async close(): Promise<void> {
    for (const connection of this.#open) connection.destroy()
    this.#http.close()
    await once(this.#http, 'close')
  }
}
