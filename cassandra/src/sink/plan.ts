import { visitRecords, type FetchedChunk } from '@candlewick/streams/kafka/records/decode'
import { averageCodec, barCodec, tradeCodec } from '@candlewick/schemas/codecs'
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

/** Rows of one partition go in one unlogged batch, up to so many: one mutation for the replica instead of one each. */
export const MAX_ROWS_PER_WRITE = 64
/** ... and up to so many bytes of records, so that long texts do not make a batch large. */
const MAX_BYTES_PER_WRITE = 32 * 1024

/**
 * Decides what a chunk writes; touches nothing. Of the averages of a symbol and slot, and of the announcements of a bar,
 * only the last of the chunk is written: the ones before it would be overwritten at once.
 * A record that no table can hold is rejected by itself; an average or bar without a value (a tombstone) is nothing to do.
 * @throws KafkaError when the chunk itself is corrupt
 */
export function planChunk(chunk: FetchedChunk, topic: SinkTopic): Plan {
  const rows = new RowsByPartition()
  const rejected: RejectedRecord[] = []
  const averages = new Map<string, { average: Average; source: SourceRecord }>()
  const newest = new Map<string, { average: Average; source: SourceRecord }>()
  const bars = new Map<string, { bar: Bar; source: SourceRecord }>()

  function attempt(source: SourceRecord, step: () => void): void {
    try {
      step()
    } catch (error) {
      rejected.push({ source, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  visitRecords(
    chunk,
    'read_committed',
    (offset, brokerTimeMs, bytes, keyStart, keyEnd, valueStart, valueEnd, _headersStart) => {
      const source = { offset, brokerTimeMs, bytes, keyStart, keyEnd, valueStart, valueEnd }
      if (valueEnd < valueStart && topic !== 'trades') return
      attempt(source, () => {
        if (valueEnd < valueStart) throw new TypeError('a trade without a value')
        if (topic === 'trades') {
          const trade = tradeCodec.decode(bytes, valueStart, valueEnd)
          const key = `${trade.symbol}|${dayOf(trade.timestamp)}`
          rows.add('trades', key, tradeRow(trade, { partition: chunk.partition, offset, brokerTimeMs }), source)
        } else if (topic === 'averages') {
          const average = averageCodec.decode(bytes, valueStart, valueEnd)
          averages.set(`${average.symbol}|${averagesSlotOf(average.asOf)}`, { average, source })
          newest.set(average.symbol, { average, source })
        } else {
          const bar = barCodec.decode(bytes, valueStart, valueEnd)
          bars.set(`${bar.symbol}|${bar.interval}|${bar.start}`, { bar, source })
        }
      })
    },
  )
  for (const { average, source } of averages.values()) {
    attempt(source, () => {
      const key = `${average.symbol}|${dayOf(averagesSlotOf(average.asOf))}`
      const averageRow = averagesRow(average, source.brokerTimeMs)
      rows.add('running_averages', key, averageRow, source)
      if (newest.get(average.symbol)?.source === source) {
        rows.add('latest', '', latestRow(average, source.brokerTimeMs), source)
      }
    })
  }
  for (const { bar, source } of bars.values()) {
    attempt(source, () => {
      const key = `${bar.symbol}|${bar.interval}|${monthOf(bar.start)}`
      rows.add('bars', key, barRow(bar, source.brokerTimeMs), source)
    })
  }
  return { writes: rows.writes(), rejected }
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
