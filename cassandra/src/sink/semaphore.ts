/** At most `permits` holders at a time; the others wait in line. */
export class Semaphore {
  private readonly waiting: (() => void)[] = []

  constructor(private permits: number) {}

  /** @throws the signal's reason when it aborts before there is a permit */
  acquire(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.permits > 0) {
      this.permits -= 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const granted = () => {
        signal.removeEventListener('abort', aborted)
        resolve()
      }
      const aborted = () => {
        this.waiting.splice(this.waiting.indexOf(granted), 1)
        reject(signal.reason as Error)
      }
      this.waiting.push(granted)
      signal.addEventListener('abort', aborted, { once: true })
    })
  }

  release(): void {
    const next = this.waiting.shift()
    if (next === undefined) this.permits += 1
    else next()
  }
}
