import cassandra from 'cassandra-driver'
import { Oracle, type OracleAverage, type OracleBar, type OracleTrade } from './fold.js'
import { avroReader, readTopic } from './read-topic.js'

/** Where a running system can be asked. */
export interface SystemUnderTest {
  kafkaBrokers: string
  cassandra: { host: string; port: number }
  keyspace: string
  /** Base URL of the query API. */
  api: string
}

/** What was compared and what did not fit; `differences` is empty when everything is equal to the bit. */
export interface Comparison {
  trades: number
  symbols: number
  bars: number
  cassandraRows: number
  differences: string[]
}

type TopicTrade = Omit<OracleTrade, 'offset'>
type TopicBar = OracleBar & { closed: boolean; revision: number }

/** Shown at most; more would hide the first. */
const MOST_DIFFERENCES = 20
/** A window is announced closed when its partition's clock is this far past its end. */
const CLOSED_AFTER_MS = 10_000
const LENGTH_MS: Record<string, number> = { '5m': 300_000, '15m': 900_000, '1h': 3_600_000, '1d': 86_400_000 }

/**
 * Folds the topic `trades` independently and compares everything that was made of it: the topics averages and bars,
 * the REST answers, and every row in Cassandra. Numbers must be equal to the last bit.
 * @param progress told before each step, for many trades take minutes
 */
export async function compareWithOracle(
  system: SystemUnderTest,
  progress: (step: string) => void = () => undefined,
): Promise<Comparison> {
  progress('folding the topic trades independently')
  const { oracle, trades, partitionClock } = await foldTrades(system.kafkaBrokers)
  const averages = oracle.averages()
  const bars = oracle.bars()
  const differences: string[] = []
  const note = (text: string) => {
    if (differences.length < MOST_DIFFERENCES) differences.push(text)
  }

  progress(`comparing the topics averages and bars (${trades.length.toLocaleString('en-US')} trades are folded)`)
  compareMaps('topic averages', averages, await readAverages(system.kafkaBrokers), note)
  const published = await readBars(system.kafkaBrokers)
  compareBars('topic bars', bars, published, note)
  for (const [key, { symbol, interval, start }] of bars) {
    const due = interval === '1m' || start + LENGTH_MS[interval]! + CLOSED_AFTER_MS <= partitionClock(symbol)
    if (due && !published.has(key)) note(`topic bars: ${key} is missing`)
  }
  progress(`comparing the answers of the API (${averages.size.toLocaleString('en-US')} symbols)`)
  await compareRest(system.api, averages, note)
  progress('comparing every row in Cassandra')
  const cassandraRows = await compareCassandra(system, { trades, averages, bars, published }, note)
  return { trades: trades.length, symbols: averages.size, bars: published.size, cassandraRows, differences }
}

/** Symbol -> trades counted, by the topic alone: cheap enough to wait by. */
export async function foldTrades(brokers: string) {
  const read = avroReader<TopicTrade>('trade')
  const trades: (OracleTrade & { partition: number })[] = []
  await readTopic(brokers, 'trades', ({ partition, offset, value }) => {
    trades.push({ ...read(value!), partition, offset })
  })
  const oracle = new Oracle()
  const newest = new Map<number, number>()
  const partitionOf = new Map<string, number>()
  for (const trade of trades) {
    oracle.add(trade)
    newest.set(trade.partition, Math.max(newest.get(trade.partition) ?? 0, trade.timestamp))
    partitionOf.set(trade.symbol, trade.partition)
  }
  return { oracle, trades, partitionClock: (symbol: string) => newest.get(partitionOf.get(symbol)!)! }
}

async function readAverages(brokers: string): Promise<Map<string, OracleAverage>> {
  const read = avroReader<OracleAverage>('average')
  const last = new Map<string, OracleAverage>()
  await readTopic(brokers, 'averages', ({ key, value }) => last.set(key!, { ...read(value!) }))
  return last
}

async function readBars(brokers: string): Promise<Map<string, TopicBar>> {
  const read = avroReader<TopicBar>('bar')
  const last = new Map<string, TopicBar>()
  await readTopic(brokers, 'bars', ({ value }) => {
    const bar = { ...read(value!) }
    last.set(`${bar.symbol} ${bar.interval} ${bar.start}`, bar)
  })
  return last
}

type Note = (text: string) => void

/** Every field the oracle knows must be the same number. */
function difference(wanted: object, found: object | undefined): string | undefined {
  if (found === undefined) return 'is missing'
  for (const [name, value] of Object.entries(wanted)) {
    const other = (found as Record<string, unknown>)[name]
    if (!Object.is(value, other)) return `${name} is ${String(other)}, must be ${String(value)}`
  }
  return undefined
}

function compareMaps(
  where: string,
  wanted: ReadonlyMap<string, object>,
  found: ReadonlyMap<string, object>,
  note: Note,
) {
  for (const [key, value] of wanted) {
    const told = difference(value, found.get(key))
    if (told !== undefined) note(`${where}: ${key} ${told}`)
  }
  for (const key of found.keys()) if (!wanted.has(key)) note(`${where}: ${key} should not be there`)
}

function compareBars(
  where: string,
  wanted: ReadonlyMap<string, OracleBar>,
  found: ReadonlyMap<string, TopicBar>,
  note: Note,
): void {
  const known = new Map([...wanted].filter(([key]) => found.has(key)))
  compareMaps(where, known, found, note)
}

async function compareRest(api: string, averages: ReadonlyMap<string, OracleAverage>, note: Note): Promise<void> {
  for (const [symbol, wanted] of averages) {
    const answer = await fetch(`${api}/symbols/${encodeURIComponent(symbol)}/avg`)
    if (!answer.ok) {
      note(`REST: ${symbol} answers ${answer.status}`)
      continue
    }
    const { count, volume, notional, mean, vwap, priceVolumeMean } = wanted
    const told = difference({ count, volume, notional, mean, vwap, priceVolumeMean }, (await answer.json()) as object)
    if (told !== undefined) note(`REST: ${symbol} ${told}`)
  }
}

async function compareCassandra(
  { cassandra: { host, port }, keyspace, kafkaBrokers }: SystemUnderTest,
  wanted: {
    trades: readonly (OracleTrade & { partition: number })[]
    averages: ReadonlyMap<string, OracleAverage>
    bars: ReadonlyMap<string, OracleBar>
    published: ReadonlyMap<string, TopicBar>
  },
  note: Note,
): Promise<number> {
  const client = new cassandra.Client({
    contactPoints: [`${host}:${port}`],
    localDataCenter: 'datacenter1',
    keyspace,
    encoding: { useBigIntAsLong: true },
  })
  let rows = 0
  async function table(query: string, onRow: (row: cassandra.types.Row) => void): Promise<void> {
    for await (const row of await client.execute(query, [], { prepare: true, fetchSize: 5_000 })) {
      rows++
      onRow(row)
    }
  }
  const ms = (value: unknown) => (value === null ? null : (value as Date).getTime())
  try {
    await client.connect()

    const trades = new Map<string, object>()
    await table('SELECT symbol, ts, seq, price, volume, conditions FROM trades', (row) => {
      const { symbol, price, volume } = row as unknown as OracleTrade
      const conditions = row['conditions'] as string | null
      trades.set(String(row['seq']), { symbol, price, volume, timestamp: ms(row['ts']), conditions })
    })
    const wantedTrades = new Map(
      wanted.trades.map(({ symbol, price, volume, timestamp, conditions, partition, offset }) => [
        String(BigInt(partition) * 2n ** 48n + BigInt(offset)),
        { symbol, price, volume, timestamp, conditions: conditions === null ? null : JSON.stringify(conditions) },
      ]),
    )
    compareMaps('Cassandra trades', wantedTrades, trades, note)

    const bars = new Map<string, TopicBar>()
    await table('SELECT * FROM bars', (row) => {
      const { symbol, interval } = row as unknown as OracleBar
      const start = ms(row['start'])
      bars.set(`${symbol} ${interval} ${start}`, {
        ...row,
        start,
        trades: Number(row['trades']),
      } as unknown as TopicBar)
    })
    // Bars may have been announced while the other tables were read: what is too many is judged by the topic as it is now.
    const published = await readBars(kafkaBrokers)
    for (const key of wanted.published.keys()) if (!bars.has(key)) note(`Cassandra bars: ${key} is missing`)
    compareBars('Cassandra bars', wanted.bars, bars, note)
    for (const key of bars.keys()) if (!published.has(key)) note(`Cassandra bars: ${key} should not be there`)

    const newest = new Map<string, { at: number; row: object }>()
    const latest = new Map<string, object>()
    const averageOf = (row: cassandra.types.Row) => ({
      ...row,
      count: Number(row['count']),
      priceVolumeMean: row['average_price_multiply_volume'] as number | null,
      firstTime: ms(row['first_time']),
      lastTime: ms(row['last_time']),
      asOf: ms(row['as_of']),
    })
    await table('SELECT * FROM running_averages', (row) => {
      const symbol = row['symbol'] as string
      const at = ms(row['ts'])!
      if ((newest.get(symbol)?.at ?? -1) < at) newest.set(symbol, { at, row: averageOf(row) })
    })
    await table('SELECT * FROM latest', (row) => latest.set(row['symbol'] as string, averageOf(row)))
    const lastRows = new Map([...newest].map(([symbol, { row }]) => [symbol, row]))
    compareMaps('Cassandra running_averages', wanted.averages, lastRows, note)
    compareMaps('Cassandra latest', wanted.averages, latest, note)
    return rows
  } finally {
    await client.shutdown()
  }
}
