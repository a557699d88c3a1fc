import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

const CHANNEL = 'net.client.socket'

/**
 * Counts the connections this process opens. (The server's side cannot tell: it may hear of a new connection before it
 * hears that the last one was closed.)
 */
export class ClientSockets {
  opened = 0
  /** Open at the same time, at most. */
  mostOpen = 0
  readonly #open = new Set<Socket>()
  readonly #onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    this.opened++
    this.#open.add(socket)
    this.mostOpen = Math.max(this.mostOpen, this.#open.size)
    socket.on('close', () => this.#open.delete(socket))
  }

  constructor() {
    subscribe(CHANNEL, this.#onSocket)
  }

  stop(): void {
    unsubscribe(CHANNEL, this.#onSocket)
  }
}
