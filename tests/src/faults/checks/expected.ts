import { Oracle, type Fold, type OracleAverage, type OracleBar, type OracleTrade } from '../../oracle/fold.js'
import { avroReader, readTopic, type TopicRecord } from '../../oracle/read-topic.js'
import { digest } from './digest.js'

type TopicTrade = Omit<OracleTrade, 'offset'>

/** A record of `trades` that nothing can be made of. */
export interface UnusableRecord {
  partition: number
  offset: number
  reason: string
  key: Buffer | null
  value: Buffer | null
}

const LENGTH_MS: Record<string, number> = {
  '1m': 60_000,
  '5m': 300_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '1d': 86_400_000,
}
/** A window is announced closed when its partition's clock is this far past its end. */
const CLOSED_AFTER_MS = 10_000

/** What must have become of the trades that stand on the topic, worked out from them alone. */
export class Expected {
  readonly oracle = new Oracle()
  readonly unusable: UnusableRecord[] = []
  trades = 0
  /** Of each usable trade, by partition and offset: a digest of its row. */
  readonly rows: (number | undefined)[][] = []
  /** By symbol: digests of its running average after each of its trades. */
  readonly #averages = new Map<string, number[]>()
  readonly #clocks = new Map<number, number>()
  readonly #partitions = new Map<string, number>()

  static async read(brokers: string): Promise<Expected> {
    const expected = new Expected()
    const read = avroReader<TopicTrade>('trade')
    await readTopic(brokers, 'trades', (record) => expected.#take(record, read))
    return expected
  }

  /** Digests of the symbol's running average after each of its trades, in their order. */
  averagesOf(symbol: string): readonly number[] {
    return this.#averages.get(symbol) ?? []
  }

  /** Whether a window that begins at `start` must have been announced closed by now. */
  isDue(symbol: string, interval: string, start: number): boolean {
    return start + LENGTH_MS[interval]! + CLOSED_AFTER_MS <= this.#clocks.get(this.#partitions.get(symbol)!)!
  }

  bars(): Map<string, OracleBar> {
    return this.oracle.bars()
  }

  windows(): Iterable<{ symbol: string; interval: string; start: number; fold: Fold }> {
    return this.oracle.windows()
  }

  #take(record: TopicRecord, read: (value: Buffer) => TopicTrade): void {
    const { partition, offset, value, keyBytes, headers } = record
    const reason = headers?.get('unusable')
    if (reason !== undefined) {
      this.unusable.push({ partition, offset, reason, key: keyBytes, value })
      return
    }
    const trade = { ...read(value!), offset }
    const { symbol, timestamp } = trade
    this.trades++
    this.oracle.add(trade)
    this.#clocks.set(partition, Math.max(this.#clocks.get(partition) ?? 0, timestamp))
    this.#partitions.set(symbol, partition)
    const rows = (this.rows[partition] ??= [])
    rows[offset] = rowDigest(trade)
    const averages = this.#averages.get(symbol) ?? []
    this.#averages.set(symbol, averages)
    averages.push(averageDigest(this.oracle.averageOf(symbol)!))
  }
}

/** What a trade's row in Cassandra must hold. */
export function rowDigest({ symbol, price, volume, timestamp, conditions }: TopicTrade): number {
  return digest([price, volume, timestamp, `${symbol}\n${conditions === null ? '' : JSON.stringify(conditions)}`])
}

export function averageDigest(average: Omit<OracleAverage, 'symbol'>): number {
  const { count, volume, notional, min, max, first, firstTime, last, lastTime, asOf } = average
  return digest([count, volume, notional, min, max, first, firstTime, last, lastTime, asOf])
}
