/** How fast a recording is played: 1 = as it happened, 10 = ten times as fast, `max` = as fast as it is taken. */
export type Speed = number | 'max'

/** @returns undefined when the text is no speed */
export function readSpeed(text: string): Speed | undefined {
  if (text === 'max') return 'max'
  const speed = Number(text)
  return text.trim() !== '' && Number.isFinite(speed) && speed > 0 ? speed : undefined
}

/** A step forward longer than this is a mistake in the file (or the next chapter): it is not waited for. */
const MAX_STEP_MS = 7 * 24 * 3_600_000

/** When a recorded moment is due: the first one now, the others after it as they were apart, divided by the speed. */
export class Schedule {
  #origin: { timestampMs: number; atMs: number } | undefined
  #newestMs = -Infinity

  constructor(private readonly speed: Speed) {}

  /** @returns how long after `nowMs` the trade of `timestampMs` is due; 0 when it is due already or tells no time */
  waitMs(timestampMs: unknown, nowMs: number): number {
    if (this.speed === 'max' || typeof timestampMs !== 'number') return 0
    if (!Number.isSafeInteger(timestampMs) || timestampMs <= 0) return 0
    if (!this.#origin || timestampMs - this.#newestMs > MAX_STEP_MS) {
      this.#origin = { timestampMs, atMs: nowMs }
      this.#newestMs = timestampMs
    }
    this.#newestMs = Math.max(this.#newestMs, timestampMs)
    return Math.max(0, this.#origin.atMs + (timestampMs - this.#origin.timestampMs) / this.speed - nowMs)
  }

  /** Moves all that is still due by this much: for so long nobody was listening. */
  shift(lengthMs: number): void {
    if (this.#origin) this.#origin.atMs += lengthMs
  }
}
