import type { GapCause } from './trade-source.js'

/** A span of time of which trades may be missing. */
export interface Gap {
  cause: GapCause
  detail: string
  /** Epoch milliseconds of the last sign of life before it. */
  from: number
  /** Epoch milliseconds of the first moment after it; null while it lasts. */
  to: number | null
}

export interface GapListener {
  onBegin(gap: Gap): void
  onEnd(gap: Gap): void
}

/** The gaps of this run, the last `limit` of them; at most one of each kind is open at a time. */
export class GapLog {
  readonly #gaps: Gap[] = []
  readonly #open = new Map<string, Gap>()

  constructor(
    private readonly listener: GapListener,
    private readonly limit = 100,
  ) {}

  /** Opens a gap. While one of the same `kind` is open it goes on with its first beginning and cause. */
  begin(kind: 'feed' | 'overflow' | 'restart', cause: GapCause, detail: string, from: number): void {
    if (this.#open.has(kind)) return
    const gap: Gap = { cause, detail, from, to: null }
    this.#open.set(kind, gap)
    this.#gaps.push(gap)
    if (this.#gaps.length > this.limit) this.#gaps.shift()
    this.listener.onBegin(gap)
  }

  /** Ends the open gap of that kind, if there is one. */
  end(kind: 'feed' | 'overflow' | 'restart', to: number): void {
    const gap = this.#open.get(kind)
    if (!gap) return
    this.#open.delete(kind)
    gap.to = Math.max(gap.from, to)
    this.listener.onEnd(gap)
  }

  /** Oldest first. */
  list(): readonly Readonly<Gap>[] {
    return this.#gaps
  }
}
