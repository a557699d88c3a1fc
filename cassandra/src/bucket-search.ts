import type { types } from 'cassandra-driver'
import { dayOf } from './buckets.js'
import { date, timestamp } from './encode.js'
import type { Buckets } from './range.js'

type Ask = (query: string, values: readonly unknown[]) => Promise<types.Row[]>

/** Partitions searched at a time for one question. */
const PARALLEL_BUCKETS = 6
/** Partitions that one query asks after: 366 days take three of them, 60 years of months six. */
const BUCKETS_PER_LOOK = 122

/** Rows of one symbol over several partitions of a table. */
export interface Question {
  table: 'trades' | 'bars' | 'running_averages'
  columns: string
  /** Columns of the partition key with their values, apart from the bucket. */
  key: Readonly<Record<string, string>>
  bucket: 'day' | 'month'
  time: 'ts' | 'start'
  buckets: Buckets
  limit: number
}

/** The rows of a question, ascending. `ask` runs a query and gives all its rows. */
export async function searchBuckets(ask: Ask, keyspace: string, question: Question): Promise<types.Row[]> {
  const { newestFirst, days } = question.buckets
  const rows: types.Row[] = []
  // 1. Nearly always the first few partitions hold the whole answer.
  await collect(ask, keyspace, question, days.slice(0, PARALLEL_BUCKETS), rows)
  // 2. Else many of the others may be empty (a new symbol, a long look back): first find out which are not.
  for (let next = PARALLEL_BUCKETS; next < days.length && rows.length < question.limit; next += BUCKETS_PER_LOOK) {
    const there = await nonEmpty(ask, keyspace, question, days.slice(next, next + BUCKETS_PER_LOOK))
    await collect(ask, keyspace, question, there, rows)
  }
  return newestFirst ? rows.reverse() : rows
}

/** Adds the rows of these partitions in their order until the limit is reached; a few are asked at a time. */
async function collect(
  ask: Ask,
  keyspace: string,
  { table, columns, key, bucket, time: at, buckets, limit }: Question,
  days: readonly number[],
  rows: types.Row[],
): Promise<void> {
  const select = `SELECT ${columns} FROM ${keyspace}.${table} WHERE ${equal(key)} AND ${bucket} = ?
    AND ${at} >= ? AND ${at} <= ? ${buckets.newestFirst ? `ORDER BY ${at} DESC` : ''} LIMIT ?`
  for (let next = 0; next < days.length && rows.length < limit; next += PARALLEL_BUCKETS) {
    const missing = limit - rows.length
    const answers = await Promise.all(
      days.slice(next, next + PARALLEL_BUCKETS).map((day) => {
        const bounds = [date(bucket, day), timestamp(at, buckets.fromMs), timestamp(at, buckets.toMs)]
        return ask(select, [...Object.values(key), ...bounds, missing])
      }),
    )
    for (const answer of answers) rows.push(...answer.slice(0, limit - rows.length))
  }
}

/** Those of the partitions that have rows at all, in the order given. */
async function nonEmpty(
  ask: Ask,
  keyspace: string,
  { table, key, bucket }: Question,
  days: readonly number[],
): Promise<number[]> {
  const rows = await ask(
    `SELECT ${bucket} FROM ${keyspace}.${table} WHERE ${equal(key)} AND ${bucket} IN ? PER PARTITION LIMIT 1`,
    [...Object.values(key), days.map((day) => date(bucket, day))],
  )
  const there = new Set(rows.map((row) => dayOfDate(row.get(bucket) as types.LocalDate)))
  return days.filter((day) => there.has(day))
}

function dayOfDate({ year, month, day }: types.LocalDate): number {
  return dayOf(new Date(0).setUTCFullYear(year, month - 1, day))
}

function equal(key: Readonly<Record<string, string>>): string {
  return Object.keys(key)
    .map((column) => `${column} = ?`)
    .join(' AND ')
}
