import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { FrameReader } from './frames.js'
import type { Moment, RequestName } from './requests.js'

interface Pair {
  readonly near: Socket
  readonly far: Socket
  /** Break it when the server begins to answer: what became of the request is not told. */
  loseAnswer: boolean
  /** Came while everything is held up. */
  readonly kept: Buffer[]
  /** To be done when the rest of the request has gone on to the server. */
  afterwards: (() => void) | undefined
}

interface Trigger extends Moment {
  act(): void
}

/** What holds a link up; it moves again when the last of them lets go. */
export type Hold = 'stopped process' | 'isolation' | 'broker bounce'

/** The way of one process to its broker, on which connections can be broken and held up, at a moment of the protocol if wanted. */
export class Link {
  readonly #pairs = new Set<Pair>()
  readonly #listener = createServer((near) => this.#accept(near))
  /** Who holds it up. */
  readonly #holds = new Set<Hold>()
  readonly #triggers = new Set<Trigger>()

  constructor(private readonly server: { host: string; port: number }) {}

  /** @param port where to listen, on 127.0.0.1 */
  async open(port: number): Promise<void> {
    this.#listener.listen(port, '127.0.0.1')
    await once(this.#listener, 'listening')
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /**
   * Does something at the next such request; without one within `timeoutMs`, then.
   * @param at `before`: the request has come and not gone on yet; `after`: all of it has gone on to the server
   */
  atRequest(at: Moment, act: () => void, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const trigger: Trigger = {
        ...at,
        act: () => {
          clearTimeout(timer)
          this.#triggers.delete(trigger)
          act()
          resolve()
        },
      }
      const timer = setTimeout(trigger.act, timeoutMs)
      this.#triggers.add(trigger)
    })
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
  cutAtAnswers(): number {
    for (const pair of this.#pairs) pair.loseAnswer = true
    return this.#pairs.size
  }

  /** Nothing moves any more in either direction; new connections are taken and are silent. */
  hold(by: Hold): void {
    this.#holds.add(by)
    for (const { near, far } of this.#pairs) {
      near.pause()
      far.pause()
    }
  }

  /** Everything moves again, what was held up first, unless somebody else holds it up as well. */
  release(by: Hold): void {
    this.#holds.delete(by)
    if (this.#isHeld) return
    for (const { near, far, kept } of this.#pairs) {
      for (const bytes of kept.splice(0)) far.write(bytes)
      near.resume()
      far.resume()
    }
  }

  get #isHeld(): boolean {
    return this.#holds.size > 0
  }

  async close(): Promise<void> {
    this.cut()
    if (!this.#listener.listening) return
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #accept(near: Socket): void {
    const far = connect(this.server.port, this.server.host)
    const pair: Pair = { near, far, loseAnswer: false, kept: [], afterwards: undefined }
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    const requests = new FrameReader({
      begins: (request) => this.#begins(pair, request),
      bytes: (bytes) => this.#forward(pair, bytes),
      ends: () => {
        const act = pair.afterwards
        pair.afterwards = undefined
        act?.()
      },
    })
    near.on('data', (bytes) => requests.read(bytes))
    far.on('data', (bytes) => {
      if (pair.loseAnswer) end()
      else near.write(bytes)
    })
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
      if (this.#isHeld) socket.pause()
    }
  }

  #begins(pair: Pair, request: RequestName | undefined): void {
    for (const trigger of this.#triggers) {
      if (trigger.request !== request) continue
      if (trigger.moment === 'before') trigger.act()
      else pair.afterwards = trigger.act
    }
  }

  #forward({ near, far, kept }: Pair, bytes: Buffer): void {
    if (near.destroyed) return
    if (this.#isHeld) kept.push(bytes)
    else far.write(bytes)
  }
}
