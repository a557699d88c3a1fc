import cassandra from 'cassandra-driver'
import type { OracleAverage, OracleBar } from '../../oracle/fold.js'
import { averageDigest, rowDigest, type Expected } from './expected.js'
import { Place } from './findings.js'
import type { TopicBar } from './topics.js'

export interface TablesAt {
  host: string
  port: number
  keyspace: string
}

const OFFSETS = 2n ** 48n

/**
 * Every row in Cassandra: each trade once and as it is on the topic, bars as last announced, each row of the running
 * averages as they stood after some trade, the last one and `latest` as they stand.
 */
export async function checkTables(
  { host, port, keyspace }: TablesAt,
  expected: Expected,
  bars: ReadonlyMap<string, OracleBar>,
  published: ReadonlyMap<string, TopicBar>,
): Promise<Place> {
  const place = new Place('Cassandra')
  const client = new cassandra.Client({
    contactPoints: [`${host}:${port}`],
    localDataCenter: 'datacenter1',
    keyspace,
    encoding: { useBigIntAsLong: true },
    socketOptions: { readTimeout: 60_000 },
  })
  const rows = async function* (query: string): AsyncGenerator<cassandra.types.Row> {
    for await (const row of await client.execute(query, [], { prepare: true, fetchSize: 5_000 })) {
      place.compared++
      yield row
    }
  }
  try {
    await client.connect()
    await trades(place, expected, rows)
    await averages(place, expected, rows)
    await barRows(place, bars, published, rows)
  } finally {
    await client.shutdown()
  }
  return place
}

type Rows = (query: string) => AsyncIterable<cassandra.types.Row>

async function trades(place: Place, expected: Expected, rows: Rows): Promise<void> {
  const missing: (number | undefined)[][] = expected.rows.map((partition) => [...partition])
  for await (const row of rows('SELECT symbol, ts, seq, price, volume, conditions FROM trades')) {
    const seq = row['seq'] as bigint
    const partition = Number(seq / OFFSETS)
    const offset = Number(seq % OFFSETS)
    const { symbol, price, volume } = row as unknown as { symbol: string; price: number; volume: number }
    const kept = row['conditions'] as string | null
    const conditions = kept === null ? null : (JSON.parse(kept) as string[])
    const found = rowDigest({ symbol, price, volume, timestamp: msOf(row['ts'])!, conditions })
    const wanted = expected.rows[partition]?.[offset]
    if (found !== wanted) place.differs(`trades: ${symbol} at ${partition}/${offset} is not as on the topic`)
    else if (missing[partition]![offset] === undefined) {
      place.duplicated++
      place.differs(`trades: ${symbol} at ${partition}/${offset} is there twice`)
    }
    if (missing[partition] !== undefined) missing[partition][offset] = undefined
  }
  for (const [partition, left] of missing.entries()) {
    left.forEach((wanted, offset) => {
      if (wanted === undefined) return
      place.lost++
      place.differs(`trades: ${partition}/${offset} is missing`)
    })
  }
}

async function averages(place: Place, expected: Expected, rows: Rows): Promise<void> {
  const wanted = expected.oracle.averages()
  const newest = new Map<string, { at: number; row: object }>()
  const folds = new Map<string, ReadonlySet<number>>()
  for await (const row of rows('SELECT * FROM running_averages')) {
    const symbol = row['symbol'] as string
    const at = msOf(row['ts'])!
    const average = averageOf(row)
    let known = folds.get(symbol)
    if (known === undefined) folds.set(symbol, (known = new Set(expected.averagesOf(symbol))))
    if (!known.has(averageDigest(average)))
      place.differs(`running_averages: ${symbol} at ${at} is not the fold of any of its trades`)
    if (at !== average.asOf - (average.asOf % 5_000))
      place.differs(`running_averages: ${symbol} at ${at} holds ${average.asOf}`)
    if ((newest.get(symbol)?.at ?? -1) < at) newest.set(symbol, { at, row: average })
  }
  const latest = new Map<string, OracleAverage>()
  for await (const row of rows('SELECT * FROM latest')) latest.set(row['symbol'] as string, averageOf(row))
  for (const [symbol, average] of wanted) {
    place.counted(average.count, latest.get(symbol)?.count ?? 0)
    place.equal(`running_averages: the last of ${symbol}`, average, newest.get(symbol)?.row)
    place.equal(`latest: ${symbol}`, average, latest.get(symbol))
  }
  for (const symbol of new Set([...newest.keys(), ...latest.keys()])) {
    if (!wanted.has(symbol)) place.differs(`averages: ${symbol} should not be there`)
  }
}

async function barRows(
  place: Place,
  wanted: ReadonlyMap<string, OracleBar>,
  published: ReadonlyMap<string, TopicBar>,
  rows: Rows,
): Promise<void> {
  const seen = new Set<string>()
  for await (const row of rows('SELECT * FROM bars')) {
    const start = msOf(row['start'])!
    const found = { ...row, start, trades: Number(row['trades']) } as unknown as TopicBar
    const key = `${found.symbol} ${found.interval} ${start}`
    seen.add(key)
    const bar = wanted.get(key)
    if (bar === undefined) {
      place.differs(`bars: ${key} should not be there`)
      continue
    }
    // What was announced since the topic was read may be here already; what was announced before must be.
    const told = published.get(key)
    const isNewer = told === undefined || found.revision > told.revision || (found.closed && !told.closed)
    place.equal(`bars: ${key}`, isNewer ? bar : { ...bar, closed: told.closed, revision: told.revision }, found)
  }
  for (const key of published.keys()) if (!seen.has(key)) place.differs(`bars: ${key} is missing`)
}

function averageOf(row: cassandra.types.Row): OracleAverage {
  return {
    ...(row as unknown as OracleAverage),
    count: Number(row['count']),
    priceVolumeMean: row['average_price_multiply_volume'] as number | null,
    firstTime: msOf(row['first_time']),
    lastTime: msOf(row['last_time']),
    asOf: msOf(row['as_of'])!,
  }
}

function msOf(value: unknown): number | null {
  return value === null ? null : (value as Date).getTime()
}
