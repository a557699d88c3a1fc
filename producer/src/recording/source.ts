import type { Logger } from '@candlewick/service/logger'
import { systemClock, type Clock } from '../clock.js'
import type { ProducerMetrics } from '../metrics.js'
import type { TradeSource, TradeSourceEvents, UncheckedTrade } from '../trade-source.js'
import { readRecording, type RecordingLine } from './reader.js'
import { Schedule, type Speed } from './speed.js'

export interface RecordingOptions {
  file: string
  speed: Speed
  log: Logger
  metrics: ProducerMetrics
  clock?: Clock
}

/** A timer takes no more than 24 days. */
const MAX_SLEEP_MS = 3_600_000

/** Plays a file of trades, from its beginning at each start. Times of the trades stay what they were. */
export class RecordingSource implements TradeSource {
  readonly name = 'recording'
  readonly live = false
  readonly #options: RecordingOptions
  readonly #clock: Clock
  #stopped = false
  readonly #schedule: Schedule
  #pausedAtMs: number | undefined
  #wakeUp = () => {}
  #running: Promise<void> | undefined

  constructor(options: RecordingOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#schedule = new Schedule(options.speed)
  }

  start(events: TradeSourceEvents): void {
    this.#running ??= this.#run(events)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp()
    await this.#running
  }

  pause(): void {
    this.#pausedAtMs ??= this.#clock.nowMs()
  }

  resume(): void {
    if (this.#pausedAtMs === undefined) return
    this.#schedule.shift(this.#clock.nowMs() - this.#pausedAtMs)
    this.#pausedAtMs = undefined
    this.#wakeUp()
  }

  async #run(events: TradeSourceEvents): Promise<void> {
    const { file, log } = this.#options
    events.onConnected()
    let lines = 0
    try {
      for await (const piece of readRecording(file)) {
        await this.#play(piece, events)
        if (this.#stopped) return
        lines += piece.length
      }
    } catch (error) {
      if (!this.#stopped) events.onFatal(error as Error)
      return
    }
    log.info({ file, lines }, 'the recording is at its end')
    events.onEnd()
  }

  /** Hands over what is due together, and waits before what is not. */
  async #play(piece: readonly RecordingLine[], events: TradeSourceEvents): Promise<void> {
    let from = 0
    for (let i = 0; i < piece.length; i++) {
      const line = piece[i]!
      if (line.kind === 'rejected') continue
      let waitMs = this.#schedule.waitMs(line.trade.timestamp, this.#clock.nowMs())
      if (waitMs <= 0) continue
      this.#hand(piece.slice(from, i), events)
      from = i
      for (; waitMs > 0; waitMs = this.#schedule.waitMs(line.trade.timestamp, this.#clock.nowMs())) {
        await this.#sleep(Math.min(waitMs, MAX_SLEEP_MS))
        await this.#whilePaused()
        if (this.#stopped) return
      }
    }
    await this.#whilePaused()
    if (!this.#stopped) this.#hand(piece.slice(from), events)
  }

  #hand(lines: readonly RecordingLine[], events: TradeSourceEvents): void {
    const receivedAtMs = this.#clock.nowMs()
    const trades: UncheckedTrade[] = []
    const raws: Buffer[] = []
    let sizeBytes = 0
    for (const line of lines) {
      if (line.kind === 'rejected') {
        const { raw, reason, detail } = line
        events.onRejected({ raw, reason, detail, receivedAtMs })
        continue
      }
      trades.push(line.trade)
      raws.push(line.raw)
      sizeBytes += line.raw.length
    }
    if (trades.length === 0) return
    this.#options.metrics.frames.inc({ type: 'trades' })
    events.onTrades({ trades, receivedAtMs, sizeBytes, rawOf: (index) => raws[index]! })
  }

  async #whilePaused(): Promise<void> {
    while (this.#pausedAtMs !== undefined && !this.#stopped) {
      await new Promise<void>((resolve) => (this.#wakeUp = resolve))
    }
  }

  async #sleep(delayMs: number): Promise<void> {
    if (this.#stopped) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(delayMs, resolve)
      this.#wakeUp = () => {
        if (!this.#stopped) return
        cancel()
        resolve()
      }
    })
  }
}
