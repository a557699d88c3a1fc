import { readRecording, type RecordingLine } from '@candlewick/producer/recording/reader'
import { Schedule, type Speed } from '@candlewick/producer/recording/speed'
import type { Audience, Client } from './audience.js'
import type { Feed, FeedStatus } from './feed.js'
import type { WireTrade } from './ticker.js'

export interface RecordedFeedOptions {
  file: string
  speed: Speed
  onError(error: unknown): void
}

const MAX_TRADES_PER_FRAME = 500
/** A slow reader holds the recording up instead of piling it up here. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024

/**
 * Plays a file once, from the moment somebody listens, with the times it was recorded with. Each trade goes to one
 * client, the first that has subscribed its symbol, so that a run gives every trade exactly once.
 */
export class RecordedFeed implements Feed {
  readonly #options: RecordedFeedOptions
  #sent = 0
  #skipped = 0
  #done = false
  #stopped = false
  #running: Promise<void> | undefined
  #wakeUp = () => {}
  #version = -1
  readonly #receivers = new Map<string, Client | undefined>()

  constructor(options: RecordedFeedOptions) {
    this.#options = options
  }

  /** What a file holds is known only when it is at its end. */
  has(): boolean {
    return true
  }

  start(audience: Audience): void {
    this.#running = this.#play(audience).catch((error: unknown) => this.#options.onError(error))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp()
    await this.#running
  }

  status(): FeedStatus {
    const total = this.#done ? this.#sent + this.#skipped : null
    return { mode: 'recording', sent: this.#sent, done: this.#done, total, skipped: this.#skipped }
  }

  async #play(audience: Audience): Promise<void> {
    const schedule = new Schedule(this.#options.speed)
    await audience.whenListening()
    for await (const lines of readRecording(this.#options.file)) {
      let from = 0
      while (from < lines.length && !this.#stopped) {
        from = await this.#sendDue(lines, from, schedule, audience)
      }
      if (this.#stopped) return
    }
    this.#done = true
  }

  /** Sends what is due from `from` on, at most a frame of it, and waits when nothing is. @returns where to go on */
  async #sendDue(
    lines: readonly RecordingLine[],
    from: number,
    schedule: Schedule,
    audience: Audience,
  ): Promise<number> {
    let end = from
    let waitMs = 0
    for (; end < lines.length && end - from < MAX_TRADES_PER_FRAME; end++) {
      const line = lines[end]!
      waitMs = line.kind === 'trade' ? schedule.waitMs(line.trade.timestamp, Date.now()) : 0
      if (waitMs > 0) break
    }
    if (end === from) {
      await this.#sleep(Math.min(waitMs, 3_600_000))
      return from
    }
    const sinceMs = Date.now()
    await audience.whenListening()
    schedule.shift(Date.now() - sinceMs)
    if (!this.#stopped) await this.#send(lines.slice(from, end), audience)
    return end
  }

  async #send(lines: readonly RecordingLine[], audience: Audience): Promise<void> {
    if (this.#version !== audience.version) this.#receivers.clear()
    this.#version = audience.version
    const frames = new Map<Client, WireTrade[]>()
    for (const line of lines) {
      const client = line.kind === 'trade' ? this.#receiver(line.trade.symbol as string, audience) : undefined
      if (line.kind !== 'trade' || !client) {
        this.#skipped++
        continue
      }
      const { symbol, price, volume, timestamp } = line.trade
      const trade = { s: symbol, p: price, t: timestamp, v: volume } as WireTrade
      const frame = frames.get(client)
      if (frame) frame.push(trade)
      else frames.set(client, [trade])
    }
    for (const [client, trades] of frames) {
      client.sendTrades(trades)
      this.#sent += trades.length
    }
    for (const client of frames.keys()) await this.#whenTaken(client)
  }

  #receiver(symbol: string, audience: Audience): Client | undefined {
    if (!this.#receivers.has(symbol)) {
      this.#receivers.set(
        symbol,
        audience.clients.find((client) => client.wants(symbol)),
      )
    }
    return this.#receivers.get(symbol)
  }

  /** Resolves when a client has little enough to read, or is gone. An empty ping's turn comes after all that was sent. */
  async #whenTaken(client: Client): Promise<void> {
    if (client.bufferedBytes <= MAX_BUFFERED_BYTES || client.socket.readyState !== client.socket.OPEN) return
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve
      client.socket.ping('', false, () => resolve())
    })
  }

  async #sleep(delayMs: number): Promise<void> {
    if (this.#stopped) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs)
      this.#wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
