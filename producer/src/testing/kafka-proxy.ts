import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * Stands before one real broker and can be cut. A client learns the broker's address from its answers, so the address in
 * them (host and port, as Kafka's Metadata and FindCoordinator answers write it) is replaced by the proxy's own.
 */
export class KafkaProxy {
  isCut = false
  /** Bytes that went to the broker. */
  forwardedBytes = 0
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((client) => this.#tunnel(client))

  constructor(private readonly broker: string) {}

  /** @returns host:port to connect to instead of the broker */
  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `127.0.0.1:${this.#port}`
  }

  /** Breaks every connection and takes none until `restore`. */
  cut(): void {
    this.isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  restore(): void {
    this.isCut = false
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #tunnel(client: Socket): void {
    client.on('error', () => {})
    if (this.isCut) return void client.destroy()
    const { hostname, port } = new URL(`tcp://${this.broker}`)
    const upstream = connect(Number(port), hostname)
    upstream.on('error', () => client.destroy())
    const theirs = address(hostname, Number(port))
    const ours = address('127.0.0.1', this.#port)
    client.on('data', (bytes) => {
      this.forwardedBytes += bytes.length
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => client.write(replaceAll(bytes, theirs, ours)))
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }
}

function address(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(host.length + 4)
  bytes.write(host, 'ascii')
  bytes.writeInt32BE(port, host.length)
  return bytes
}

/** Of the same length, or the frames' lengths would be wrong. */
function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  if (from.length !== to.length) throw new Error('the broker must be at an address as long as 127.0.0.1')
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at)) to.copy(bytes, at)
  return bytes
}
