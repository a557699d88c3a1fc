import { policies, type Client, type types } from 'cassandra-driver'
import type { Average, Bar } from '@candlewick/schemas/types'
import { unlessAborted } from './abort.js'
import { searchBuckets, type Question } from './bucket-search.js'
import { averagesSlotOf } from './buckets.js'
import { connectWhenUp, createClient, type Log } from './client.js'
import { classifyWriteError, reasonOf } from './errors.js'
import { dayBuckets, monthBuckets, type TimeRange } from './range.js'
import type { CassandraConfig } from './settings.js'

export { RangeTooWide, type TimeRange } from './range.js'

/** No node answers in time, or the tables are not there yet. The history is unavailable for now; ask again later. */
export class CassandraUnavailable extends Error {
  readonly code = 'CASSANDRA_UNAVAILABLE'
  readonly kind = 'unavailable'
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`Cassandra does not answer: ${reason}`, options)
    this.name = 'CassandraUnavailable'
  }
}

/** A trade as it was kept. `seq` orders the trades of one millisecond; a decimal text, for it can exceed 2^53. */
export interface StoredTrade {
  timestamp: number
  seq: string
  price: number
  volume: number
  conditions: string[] | null
}

export interface HistoryReaderOptions {
  log?: Log
  /** Within this time every question is answered or rejected. */
  timeoutMs?: number
}

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

/**
 * What the tables know, as values. Any number of questions may be under way; each is bounded in rows by its limit, in
 * partitions by its range and in time. A node that is slow to answer is asked again elsewhere meanwhile.
 */
export class HistoryReader {
  private client: Client | undefined
  private readonly closing = new AbortController()
  private connecting: Promise<void> | undefined
  private closed: Promise<void> | undefined
  private readonly timeoutMs: number

  constructor(
    private readonly config: CassandraConfig,
    private readonly options: HistoryReaderOptions = {},
  ) {
    this.timeoutMs = options.timeoutMs ?? 3_000
  }

  /** Begins to connect and keeps trying. Resolves when connected or closed; never rejects. */
  connect(): Promise<void> {
    this.connecting ??= this.connectOnce()
    return this.connecting
  }

  /** Whether a node is there to be asked. */
  ready(): boolean {
    return this.client !== undefined && this.client.hosts.values().some((host) => host.isUp())
  }

  close(): Promise<void> {
    this.closed ??= this.closeOnce()
    return this.closed
  }

  /**
   * The newest revision of each bar, the open minute included.
   * @throws CassandraUnavailable
   */
  async bars(symbol: string, interval: Bar['interval'], range: TimeRange): Promise<Bar[]> {
    const rows = await this.search({
      table: 'bars',
      columns: 'start, open, high, low, close, volume, notional, vwap, trades, closed, revision',
      key: { symbol, interval },
      bucket: 'month',
      time: 'start',
      buckets: monthBuckets(range),
      limit: range.limit,
    })
    return rows.map((row) => ({
      symbol,
      interval,
      start: time(row, 'start'),
      open: row.get('open') as number,
      high: row.get('high') as number,
      low: row.get('low') as number,
      close: row.get('close') as number,
      volume: row.get('volume') as number,
      notional: row.get('notional') as number,
      vwap: row.get('vwap') as number | null,
      trades: whole(row, 'trades'),
      closed: row.get('closed') as boolean,
      revision: row.get('revision') as number,
    }))
  }

  /**
   * Trades in the order of their time, those of one millisecond in the order of the topic.
   * @throws CassandraUnavailable, RangeTooWide
   */
  async trades(symbol: string, range: TimeRange): Promise<StoredTrade[]> {
    const rows = await this.search({
      table: 'trades',
      columns: 'ts, seq, price, volume, conditions',
      key: { symbol },
      bucket: 'day',
      time: 'ts',
      buckets: dayBuckets(range),
      limit: range.limit,
    })
    return rows.map((row) => {
      const conditions = row.get('conditions') as string | null
      return {
        timestamp: time(row, 'ts'),
        seq: (row.get('seq') as bigint).toString(),
        price: row.get('price') as number,
        volume: row.get('volume') as number,
        conditions: conditions === null ? null : (JSON.parse(conditions) as string[]),
      }
    })
  }

  /**
   * The running averages as they stood at the end of each 5 seconds that had a trade; one Average per such slot, its
   * asOf the exact time. A slot is in the range when its beginning is within it, the one around fromMs included.
   * @throws CassandraUnavailable, RangeTooWide
   */
  async averages(symbol: string, range: TimeRange): Promise<Average[]> {
    const bySlot = range.fromMs === undefined ? range : { ...range, fromMs: averagesSlotOf(range.fromMs) }
    const rows = await this.search({
      table: 'running_averages',
      columns: `count, volume, notional, mean, vwap, average_price_multiply_volume, min, max, first, first_time, last,
        last_time, as_of`,
      key: { symbol },
      bucket: 'day',
      time: 'ts',
      buckets: dayBuckets(bySlot),
      limit: range.limit,
    })
    return rows.map((row) => ({
      symbol,
      count: whole(row, 'count'),
      volume: row.get('volume') as number,
      notional: row.get('notional') as number,
      mean: row.get('mean') as number | null,
      vwap: row.get('vwap') as number | null,
      priceVolumeMean: row.get('average_price_multiply_volume') as number | null,
      min: row.get('min') as number | null,
      max: row.get('max') as number | null,
      first: row.get('first') as number | null,
      firstTime: optionalTime(row, 'first_time'),
      last: row.get('last') as number | null,
      lastTime: optionalTime(row, 'last_time'),
      asOf: time(row, 'as_of'),
    }))
  }

  private async connectOnce(): Promise<void> {
    const signal = this.closing.signal
    try {
      const client = await connectWhenUp(() => this.createClient(), { log: this.options.log ?? SILENT, signal })
      if (signal.aborted) await client.shutdown()
      else this.client = client
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  private createClient(): Client {
    return createClient(this.config, {
      socketOptions: { readTimeout: this.timeoutMs / 2, connectTimeout: this.timeoutMs },
      policies: { speculativeExecution: new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(200, 1) },
    })
  }

  private async closeOnce(): Promise<void> {
    this.closing.abort(new CassandraUnavailable('the reader is closed'))
    await this.connecting
    await this.client?.shutdown()
    this.client = undefined
  }

  /** The rows of a question, ascending, within the time a question has. */
  private search(question: Question): Promise<types.Row[]> {
    const deadline = AbortSignal.any([AbortSignal.timeout(this.timeoutMs), this.closing.signal])
    return searchBuckets((query, values) => this.select(query, values, deadline), this.config.keyspace, question)
  }

  private async select(query: string, values: readonly unknown[], deadline: AbortSignal): Promise<types.Row[]> {
    const client = this.client
    if (client === undefined) throw new CassandraUnavailable('not connected yet')
    try {
      return await unlessAborted(allRows(client, query, values, this.config.keyspace), deadline)
    } catch (error) {
      if (error instanceof CassandraUnavailable) throw error
      if (deadline.aborted) throw new CassandraUnavailable(`no answer within ${this.timeoutMs} ms`, { cause: error })
      if (classifyWriteError(error) === 'never') throw error
      throw new CassandraUnavailable(reasonOf(error), { cause: error })
    }
  }
}

/** All pages of an answer; its size is bounded by the query's LIMIT. */
async function allRows(
  client: Client,
  query: string,
  values: readonly unknown[],
  keyspace: string,
): Promise<types.Row[]> {
  const result = await client.execute(query, [...values], { keyspace, fetchSize: 5_000 })
  const rows: types.Row[] = []
  for await (const row of result) rows.push(row)
  return rows
}

function time(row: types.Row, column: string): number {
  return (row.get(column) as Date).getTime()
}

function optionalTime(row: types.Row, column: string): number | null {
  const value = row.get(column) as Date | null
  return value === null ? null : value.getTime()
}

/** Counts are far below 2^53. */
function whole(row: types.Row, column: string): number {
  return Number(row.get(column) as bigint)
}
