import type { GapCause, RejectedMessage, TradeBatch, TradeSourceEvents, UncheckedTrade } from '../trade-source.js'

/** Keeps what a source tells, for a test to look at. */
export class RecordedEvents implements TradeSourceEvents {
  readonly batches: TradeBatch[] = []
  readonly rejected: RejectedMessage[] = []
  readonly disconnections: { cause: GapCause; detail: string; lastHeardAtMs: number }[] = []
  readonly fatal: Error[] = []
  connections = 0
  ends = 0

  get trades(): UncheckedTrade[] {
    return this.batches.flatMap(({ trades }) => trades)
  }

  onTrades(batch: TradeBatch): void {
    this.batches.push(batch)
  }

  onRejected(message: RejectedMessage): void {
    this.rejected.push(message)
  }

  onConnected(): void {
    this.connections++
  }

  onDisconnected(cause: GapCause, detail: string, lastHeardAtMs: number): void {
    this.disconnections.push({ cause, detail, lastHeardAtMs })
  }

  onEnd(): void {
    this.ends++
  }

  onFatal(error: Error): void {
    this.fatal.push(error)
  }
}
