import type { Clock } from '../clock.js'

/** Time in a test's hand: it passes only by `advance`. */
export class ManualClock implements Clock {
  #timers: { dueMs: number; callback: () => void }[] = []

  constructor(private currentMs = 1_760_000_000_000) {}

  nowMs(): number {
    return this.currentMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.currentMs + delayMs, callback }
    this.#timers.push(timer)
    return () => (this.#timers = this.#timers.filter((other) => other !== timer))
  }

  /** Lets time pass and calls back what is due on the way, in its order. */
  advance(lengthMs: number): void {
    const untilMs = this.currentMs + lengthMs
    for (;;) {
      const next = this.#timers.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0]
      if (!next) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.currentMs = Math.max(this.currentMs, next.dueMs)
      next.callback()
    }
    this.currentMs = untilMs
  }

  /** How long until each timer is due, soonest first. */
  get pendingMs(): number[] {
    return this.#timers.map(({ dueMs }) => dueMs - this.currentMs).sort((a, b) => a - b)
  }
}
