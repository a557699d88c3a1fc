import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

interface Pair {
  readonly near: Socket
  readonly far: Socket
  /** Break it when the server has taken something in and begins to answer: the answer is lost. */
  loseAnswer: boolean
}

/** The way of one process to a server, on which connections can be broken and held up. */
export class Link {
  readonly #pairs = new Set<Pair>()
  readonly #listener = createServer((near) => this.#accept(near))
  #held = false

  constructor(private readonly server: { host: string; port: number }) {}

  /** @param port where to listen, on 127.0.0.1 */
  async open(port: number): Promise<void> {
    this.#listener.listen(port, '127.0.0.1')
    await once(this.#listener, 'listening')
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** Breaks every connection; new ones are welcome. @returns how many */
  cut(): number {
    const count = this.#pairs.size
    for (const { near, far } of this.#pairs) {
      near.destroy()
      far.destroy()
    }
    return count
  }

  /** Breaks every connection when the next answer comes on it: the request was taken, what became of it is not told. */
  cutMidRequest(): number {
    for (const pair of this.#pairs) pair.loseAnswer = true
    return this.#pairs.size
  }

  /** Nothing moves any more in either direction; new connections are taken and are silent. */
  hold(): number {
    this.#held = true
    for (const { near, far } of this.#pairs) {
      near.pause()
      far.pause()
    }
    return this.#pairs.size
  }

  /** Everything moves again, what was held up first. */
  release(): void {
    this.#held = false
    for (const { near, far } of this.#pairs) {
      near.resume()
      far.resume()
    }
  }

  async close(): Promise<void> {
    this.cut()
    if (!this.#listener.listening) return
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #accept(near: Socket): void {
    const far = connect(this.server.port, this.server.host)
    const pair: Pair = { near, far, loseAnswer: false }
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
      if (this.#held) socket.pause()
    }
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => {
      if (pair.loseAnswer) end()
      else near.write(bytes)
    })
    // Adding a listener for data sets a socket flowing.
    if (this.#held) for (const socket of [near, far]) socket.pause()
  }
}
