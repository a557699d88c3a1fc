import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { WireTrade } from './ticker.js'

/** A client of the exchange for tests: it keeps every frame it gets. */
export class TestClient {
  readonly frames: Buffer[] = []
  readonly socket: WebSocket
  closed = false

  constructor(url: string, token = 'test') {
    this.socket = new WebSocket(`${url}/?token=${token}`, { perMessageDeflate: false, skipUTF8Validation: true })
    this.socket.on('message', (data) => this.frames.push(data as Buffer))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.closed = true))
  }

  static async open(url: string, symbols: readonly string[], token?: string): Promise<TestClient> {
    const client = new TestClient(url, token)
    await once(client.socket, 'open')
    for (const symbol of symbols) client.subscribe(symbol)
    return client
  }

  subscribe(symbol: string): void {
    this.socket.send(JSON.stringify({ type: 'subscribe', symbol }))
  }

  unsubscribe(symbol: string): void {
    this.socket.send(JSON.stringify({ type: 'unsubscribe', symbol }))
  }

  get messages(): { type: string; msg?: string; data?: WireTrade[] }[] {
    return this.frames.map((frame) => JSON.parse(frame.toString('utf8')) as { type: string })
  }

  get trades(): WireTrade[] {
    return this.messages.flatMap(({ type, data }) => (type === 'trade' ? data! : []))
  }

  close(): void {
    this.socket.terminate()
  }
}

/** @returns the status and headers a handshake is refused with */
export async function refusedHandshake(url: string): Promise<{ status: number; retryAfter: string | undefined }> {
  const socket = new WebSocket(url)
  socket.on('error', () => {})
  const [request, response] = (await once(socket, 'unexpected-response')) as [
    { destroy(): void },
    { statusCode: number; headers: Record<string, string | undefined> },
  ]
  request.destroy()
  return { status: response.statusCode, retryAfter: response.headers['retry-after'] }
}
