import type { Link } from './connection.js'
import { byId, setData, setText } from './dom.js'
import { formatAge } from './format.js'

const SLOWED_SHOWN_MS = 10_000

/** The state of the feed in a few words, at the top of the page. */
export class LinkStatus {
  readonly #element = byId('link')
  #slowed = { frames: 0, atMs: 0 }

  /** Frames were held back by the server and merged into later ones. */
  missed(frames: number, nowMs: number): void {
    this.#slowed = { frames, atMs: nowMs }
  }

  render(link: Link, nowMs: number): void {
    setData(this.#element, 'kind', link.kind)
    setText(this.#element, this.#text(link, nowMs))
    const title = link.kind === 'reconnecting' ? link.reason : ''
    if (this.#element.title !== title) this.#element.title = title
  }

  #text(link: Link, nowMs: number): string {
    switch (link.kind) {
      case 'connecting':
        return 'Connecting'
      case 'live':
        return nowMs - this.#slowed.atMs < SLOWED_SHOWN_MS
          ? `Live, slowed: ${this.#slowed.frames} updates merged`
          : 'Live'
      case 'stale':
        return `Stale for ${formatAge(nowMs - link.sinceMs)}`
      case 'reconnecting': {
        const seconds = Math.ceil((link.atMs - nowMs) / 1000)
        return seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting'
      }
    }
  }
}
