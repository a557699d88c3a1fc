import type { Audience } from './audience.js'

export interface FeedStatus {
  readonly mode: 'simulated' | 'recording'
  /** Trades handed to a connection. */
  readonly sent: number
  /** Nothing will come any more. */
  readonly done: boolean
  /** How many there will be; null = without end, or not known. */
  readonly total: number | null
  /** Trades of a recording that nobody had subscribed, and lines that are no trade. */
  readonly skipped: number
}

/** What the exchange sends. */
export interface Feed {
  /** Whether the exchange lists it; anything else is answered with "Invalid symbol". */
  has(symbol: string): boolean
  start(audience: Audience): void
  stop(): Promise<void>
  status(): FeedStatus
}
