/** One timer, which rings at the earliest of the times it was set to. Times are performance.now(). */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #atMs = Infinity

  constructor(ring: () => void) {
    this.#ring = ring
  }

  setTo(atMs: number): void {
    if (atMs >= this.#atMs) return
    clearTimeout(this.#timer)
    this.#atMs = atMs
    const ring = () => {
      this.#atMs = Infinity
      this.#ring()
    }
    this.#timer = setTimeout(ring, Math.max(0, Math.ceil(atMs - performance.now())))
  }

  /** Never rings again. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#atMs = -Infinity
  }
}
