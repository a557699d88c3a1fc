import type { Link } from './connection.js'
import { byId, setData, setText } from './dom.js'
import { formatAge } from './format.js'

const CAUGHT_UP_SHOWN_MS = 10_000

/** The state of the feed in a few words, at the top of the page. */
export class LinkStatus {
  readonly #element = byId('link')
  #caughtUp = { frames: 0, atMs: 0 }

  /** Frames went missing and a snapshot was asked for. */
  missed(frames: number, nowMs: number): void {
    this.#caughtUp = { frames, atMs: nowMs }
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
        return nowMs - this.#caughtUp.atMs < CAUGHT_UP_SHOWN_MS
          ? `Live, caught up after ${this.#caughtUp.frames} missed`
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
