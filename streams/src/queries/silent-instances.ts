/** Long enough to spare most queries the wait, short enough to see soon that an instance is back. */
const REMEMBER_MS = 2_000
/** Far more than an application has endpoints. */
const MAX_REMEMBERED = 1_000

/**
 * Instances that stayed silent lately while another answered in their place: as long as the group still counts on a
 * frozen one, queries go to it and to its standby at once, instead of each waiting for it first.
 */
export class SilentInstances {
  readonly #untilMs = new Map<string, number>()

  has(endpoint: string): boolean {
    return (this.#untilMs.get(endpoint) ?? 0) > performance.now()
  }

  /** Known ones keep their time: asked at once with another, to be the slower one proves nothing. */
  add(endpoint: string): void {
    if (this.has(endpoint)) return
    if (this.#untilMs.size >= MAX_REMEMBERED) this.#untilMs.clear()
    this.#untilMs.set(endpoint, performance.now() + REMEMBER_MS)
  }

  delete(endpoint: string): void {
    this.#untilMs.delete(endpoint)
  }
}
