import type { UncheckedTrade } from '@candlewick/schemas/trade-rules'

export type { UncheckedTrade }

/** What came in one message (a WebSocket frame, a piece of a file): its trades, in their order. */
export interface TradeBatch {
  readonly trades: readonly UncheckedTrade[]
  readonly receivedAtMs: number
  /** The size of the message as it came; what waits for Kafka is bounded by it. */
  readonly sizeBytes: number
  /** The bytes of one of the trades as they came, for the dead letters. */
  rawOf(index: number): Buffer
}

/** A message of which no trade could be read. */
export interface RejectedMessage {
  readonly raw: Buffer
  /** One word that a metric can carry. */
  readonly reason: string
  /** One sentence for the one who looks at the dead letter. */
  readonly detail: string
  readonly receivedAtMs: number
}

/** Why trades may be missing. */
export type GapCause = 'disconnected' | 'silence' | 'refused' | 'overflow' | 'restart'

/** What a source tells. All calls come one after the other; none comes after `stop()` was called. */
export interface TradeSourceEvents {
  onTrades(batch: TradeBatch): void
  onRejected(message: RejectedMessage): void
  /** Trades flow from now on. */
  onConnected(): void
  /** No trade comes until the next `onConnected`; the last sign of life was at `lastHeardAtMs`. */
  onDisconnected(cause: GapCause, detail: string, lastHeardAtMs: number): void
  /** The source has given all it has (a recording). */
  onEnd(): void
  /** The source cannot go on and will not try again. */
  onFatal(error: Error): void
}

/** Where trades come from. */
export interface TradeSource {
  /** Becomes `source` of each trade, e.g. `finnhub`. */
  readonly name: string
  /** A live source goes on while nobody listens, so that being disconnected is a gap; a recording waits. */
  readonly live: boolean
  start(events: TradeSourceEvents): void
  /** Resolves when nothing of it is open any more. */
  stop(): Promise<void>
  /** Stops reading, so that the other side is held back. What was read already still comes. */
  pause(): void
  resume(): void
}
