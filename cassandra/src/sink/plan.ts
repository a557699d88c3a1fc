import { visitRecords, type FetchedChunk } from '@candlewick/streams/kafka/records/decode'
import { averageCodec, barCodec, symbolKey, tradeCodec } from '@candlewick/schemas/codecs'
import { tradeComplaint } from '@candlewick/schemas/trade-rules'
import type { Average, Bar } from '@candlewick/schemas/types'
import { averagesSlotOf, dayOf, monthOf } from '../buckets.js'
import { averagesRow, barRow, latestRow, tradeRow, type Row, type TableName } from './tables.js'

/** Which of the three topics a chunk is of. */
export type SinkTopic = 'trades' | 'averages' | 'bars'

/** A record where it lies in its chunk. Keys and values are copied out only for those that become dead letters. */
export interface SourceRecord {
  offset: number
  brokerTimeMs: number
  bytes: Buffer
  keyStart: number
  keyEnd: number
  valueStart: number
  valueEnd: number
}

export interface PlannedRow extends Row {
  source: SourceRecord
}

/** Rows of one partition of one table: one request. */
export interface Write {
  table: TableName
  rows: PlannedRow[]
}

export interface RejectedRecord {
  source: SourceRecord
  error: Error
}

export interface Plan {
  writes: Write[]
  rejected: RejectedRecord[]
}

/** A trade that breaks the rules of trades. */
class InvalidTradeError extends Error {
  readonly code = 'INVALID_TRADE'
  override readonly name = 'InvalidTradeError'
}

/** Rows of one partition go in one unlogged batch, up to so many: one mutation for the replica instead of one each. */
export const MAX_ROWS_PER_WRITE = 64
/** ... and up to so many bytes of records, so that long texts do not make a batch large. */
const MAX_BYTES_PER_WRITE = 32 * 1024

/**
 * Decides what a chunk writes; touches nothing.
 * @throws KafkaError when the chunk itself is corrupt
 */
export function planChunk(chunk: FetchedChunk, topic: SinkTopic): Plan {
  const planner = new Planner(topic, chunk.partition)
  visitRecords(chunk, 'read_committed', (offset, brokerTimeMs, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
    planner.add({ offset, brokerTimeMs, bytes, keyStart, keyEnd, valueStart, valueEnd })
  })
  return planner.plan()
}

interface Latest<T> {
  value: T
  source: SourceRecord
}

/**
 * Takes the records of one partition in their order. Of the averages of a symbol and slot, and of the announcements of
 * a bar, only the last is written: the ones before it would be overwritten at once. A record that no table can hold is
 * rejected by itself; an average or a bar without a value (a tombstone) is nothing to do.
 */
export class Planner {
  private readonly rows = new RowsByPartition()
  private readonly rejected: RejectedRecord[] = []
  private readonly averages = new Map<string, Latest<Average>>()
  private readonly newest = new Map<string, Latest<Average>>()
  private readonly bars = new Map<string, Latest<Bar>>()

  constructor(
    private readonly topic: SinkTopic,
    private readonly partition: number,
  ) {}

  add(source: SourceRecord): void {
    this.orReject(source, () => {
      this.decode(source)
    })
  }

  plan(): Plan {
    for (const { value, source } of this.averages.values()) {
      this.orReject(source, () => {
        const row = averagesRow(value, source.brokerTimeMs)
        this.rows.add('running_averages', `${value.symbol}|${dayOf(averagesSlotOf(value.asOf))}`, row, source)
        if (this.newest.get(value.symbol)?.source !== source) return
        this.rows.add('latest', '', latestRow(value, source.brokerTimeMs), source)
      })
    }
    for (const { value, source } of this.bars.values()) {
      this.orReject(source, () => {
        const key = `${value.symbol}|${value.interval}|${monthOf(value.start)}`
        this.rows.add('bars', key, barRow(value, source.brokerTimeMs), source)
      })
    }
    return { writes: this.rows.writes(), rejected: this.rejected }
  }

  private decode(source: SourceRecord): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd, offset, brokerTimeMs } = source
    if (valueEnd < valueStart) {
      if (this.topic === 'trades') throw new TypeError('a trade without a value')
    } else if (this.topic === 'trades') {
      const trade = tradeCodec.decode(bytes, valueStart, valueEnd)
      // What the processors do not count is not kept either.
      const symbol = keyEnd < keyStart ? '' : symbolKey.decode(bytes, keyStart, keyEnd)
      const complaint = tradeComplaint(trade, symbol, brokerTimeMs)
      if (complaint !== undefined) throw new InvalidTradeError(complaint)
      const row = tradeRow(trade, { partition: this.partition, offset, brokerTimeMs })
      this.rows.add('trades', `${trade.symbol}|${dayOf(trade.timestamp)}`, row, source)
    } else if (this.topic === 'averages') {
      const value = averageCodec.decode(bytes, valueStart, valueEnd)
      this.averages.set(`${value.symbol}|${averagesSlotOf(value.asOf)}`, { value, source })
      this.newest.set(value.symbol, { value, source })
    } else {
      const value = barCodec.decode(bytes, valueStart, valueEnd)
      this.bars.set(`${value.symbol}|${value.interval}|${value.start}`, { value, source })
    }
  }

  private orReject(source: SourceRecord, step: () => void): void {
    try {
      step()
    } catch (error) {
      this.rejected.push({ source, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }
}

/** Collects rows by table and partition, and cuts them into writes. */
class RowsByPartition {
  private readonly open = new Map<string, { write: Write; sizeBytes: number }>()
  private readonly full: Write[] = []

  add(table: TableName, partitionKey: string, row: Row, source: SourceRecord): void {
    const key = `${table}|${partitionKey}`
    const sizeBytes = source.valueEnd - source.valueStart
    const planned = { partition: row.partition, values: row.values, source }
    const group = this.open.get(key)
    if (group === undefined) {
      this.open.set(key, { write: { table, rows: [planned] }, sizeBytes })
    } else if (group.write.rows.length < MAX_ROWS_PER_WRITE && group.sizeBytes + sizeBytes <= MAX_BYTES_PER_WRITE) {
      group.write.rows.push(planned)
      group.sizeBytes += sizeBytes
    } else {
      this.full.push(group.write)
      this.open.set(key, { write: { table, rows: [planned] }, sizeBytes })
    }
  }

  writes(): Write[] {
    return [...this.full, ...[...this.open.values()].map((group) => group.write)]
  }
}
