import type { Average, Bar, Trade } from '@candlewick/schemas/types'
import { averagesSlotOf, dayOf, monthOf } from '../buckets.js'
import * as cql from '../encode.js'
import type { Encoded } from '../encode.js'

/** One row on its way to a table. */
export interface Row {
  /** The values that pick its partition, as they route a statement to its replicas. */
  partition: readonly Buffer[]
  /** The values of the insert statement, in its order; the write time comes last. */
  values: readonly Encoded[]
}

export type TableName = 'trades' | 'bars' | 'running_averages' | 'latest'

const AVERAGE_COLUMNS =
  'count, volume, notional, mean, vwap, average_price_multiply_volume, min, max, first, first_time, last, last_time, as_of'

const COLUMNS: Record<TableName, string> = {
  trades: 'symbol, day, ts, seq, price, volume, conditions, source, received_at',
  bars: 'symbol, interval, month, start, open, high, low, close, volume, notional, vwap, trades, closed, revision',
  running_averages: `symbol, day, ts, ${AVERAGE_COLUMNS}`,
  latest: `bucket, symbol, ${AVERAGE_COLUMNS}`,
}

/** The statement that writes a row of a table. */
export function insertInto(keyspace: string, table: TableName): string {
  const columns = COLUMNS[table]
  const marks = columns.replace(/\w+/g, '?')
  return `INSERT INTO ${keyspace}.${table} (${columns}) VALUES (${marks}) USING TIMESTAMP ?`
}

/**
 * Write times, in microseconds as Cassandra counts: the record's broker time, so that of two records of a key the later
 * one on the topic wins whenever and however often they are written.
 */
function writeTime(brokerTimeMs: number, tieBreak = 0): Buffer {
  return cql.bigint('write time', brokerTimeMs * 1000 + tieBreak)
}

/** A trade is written once; its write time only keeps a replay from touching what an operator deleted since. */
export function tradeRow(trade: Trade, at: { partition: number; offset: number; brokerTimeMs: number }): Row {
  const symbol = cql.keyText('symbol', trade.symbol)
  const ts = cql.timestamp('ts', trade.timestamp)
  const day = cql.date('day', dayOf(trade.timestamp))
  return {
    partition: [symbol, day],
    values: [
      symbol,
      day,
      ts,
      cql.seq(at.partition, at.offset),
      cql.double(trade.price),
      cql.double(trade.volume),
      cql.text(trade.conditions === null ? null : JSON.stringify(trade.conditions)),
      cql.text(trade.source),
      cql.timestamp('received_at', trade.receivedAt),
      writeTime(at.brokerTimeMs),
    ],
  }
}

/**
 * The announcements of one bar can share a broker millisecond (the last open one and the closed one leave in one
 * commit). Cassandra would then mix their columns, larger value by larger value: closed and revision decide instead.
 */
export function barRow(bar: Bar, brokerTimeMs: number): Row {
  const symbol = cql.keyText('symbol', bar.symbol)
  const interval = cql.keyText('interval', bar.interval)
  const start = cql.timestamp('start', bar.start)
  const month = cql.date('month', monthOf(bar.start))
  return {
    partition: [symbol, interval, month],
    values: [
      symbol,
      interval,
      month,
      start,
      cql.double(bar.open),
      cql.double(bar.high),
      cql.double(bar.low),
      cql.double(bar.close),
      cql.double(bar.volume),
      cql.double(bar.notional),
      cql.double(bar.vwap),
      cql.bigint('trades', bar.trades),
      cql.boolean(bar.closed),
      cql.int('revision', bar.revision),
      writeTime(brokerTimeMs, bar.closed ? Math.min(bar.revision + 1, 999) : 0),
    ],
  }
}

/**
 * A column without a value stays unset rather than null: a null is a tombstone, and a symbol that sends nothing but
 * price updates would leave thousands a day. It is exact because a fold never goes back to having no value.
 */
function averageValues(average: Average): Encoded[] {
  return [
    cql.bigint('count', average.count),
    cql.double(average.volume),
    cql.double(average.notional),
    cql.double(average.mean),
    cql.double(average.vwap),
    cql.double(average.priceVolumeMean),
    cql.double(average.min),
    cql.double(average.max),
    cql.double(average.first),
    cql.optionalTimestamp('first_time', average.firstTime),
    cql.double(average.last),
    cql.optionalTimestamp('last_time', average.lastTime),
    cql.timestamp('as_of', average.asOf),
  ]
}

/** The row of the 5 seconds in which the newest folded trade happened. */
export function averagesRow(average: Average, brokerTimeMs: number): Row {
  const symbol = cql.keyText('symbol', average.symbol)
  const slotMs = averagesSlotOf(average.asOf)
  const ts = cql.timestamp('ts', slotMs)
  const day = cql.date('day', dayOf(slotMs))
  return {
    partition: [symbol, day],
    values: [symbol, day, ts, ...averageValues(average), writeTime(brokerTimeMs)],
  }
}

/** All symbols live in one partition (schema.cql says why). */
const LATEST_BUCKET = cql.int('bucket', 0)
const LATEST_PARTITION = [LATEST_BUCKET]

/** The symbol's one row. */
export function latestRow(average: Average, brokerTimeMs: number): Row {
  const symbol = cql.keyText('symbol', average.symbol)
  return {
    partition: LATEST_PARTITION,
    values: [LATEST_BUCKET, symbol, ...averageValues(average), writeTime(brokerTimeMs)],
  }
}
