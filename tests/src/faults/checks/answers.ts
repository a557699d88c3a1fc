import type { OracleAverage, OracleBar } from '../../oracle/fold.js'
import { getJson, until } from '../../wait.js'
import type { Expected } from './expected.js'
import { Place } from './findings.js'

const INTERVALS = ['1m', '5m', '15m', '1h', '1d'] as const
/** More bars than there are, and no more than one answer takes. */
const MOST_BARS = 5_000
/** Asked at a time. */
const AT_A_TIME = 8

interface Summary {
  symbol: string
  average: OracleAverage
}

/** What the API answers for every symbol: where it stands, its average, its bars of every length. */
export async function checkRest(api: string, expected: Expected, bars: ReadonlyMap<string, OracleBar>): Promise<Place> {
  const place = new Place('REST')
  const listed = new Map<string, Summary>()
  for (let after = ''; ;) {
    const page = await getJson<{ symbols: Summary[]; next?: string }>(
      `${api}/symbols?limit=100&after=${encodeURIComponent(after)}`,
    )
    for (const summary of page.symbols) listed.set(summary.symbol, summary)
    if (page.next === undefined) break
    after = page.next
  }
  const wanted = expected.oracle.averages()
  for (const symbol of listed.keys()) if (!wanted.has(symbol)) place.differs(`/symbols: ${symbol} should not be there`)
  const barsBySymbol = groupBars(bars)
  let firstMs = Infinity
  for (const { start } of bars.values()) firstMs = Math.min(firstMs, start)
  await forEach([...wanted], async ([symbol, average]) => {
    const base = `${api}/symbols/${encodeURIComponent(symbol)}`
    place.equal(`/symbols: ${symbol}`, average, listed.get(symbol)?.average)
    const one = await getJson<Summary>(base)
    place.counted(average.count, one.average.count)
    place.equal(`/symbols/${symbol}`, average, one.average)
    const { count, volume, notional, mean, vwap, priceVolumeMean } = average
    place.equal(
      `${symbol}/avg`,
      { count, volume, notional, mean, vwap, priceVolumeMean },
      await getJson<object>(`${base}/avg`),
    )
    for (const interval of INTERVALS) {
      const { bars: found } = await getJson<{ bars: OracleBar[] }>(
        `${base}/bars?interval=${interval}&from=${firstMs}&limit=${MOST_BARS}`,
      )
      compareBars(place, `${symbol}/bars`, barsBySymbol.get(`${symbol} ${interval}`) ?? [], found)
    }
  })
  return place
}

/** What the stores hold, as the processors that own the symbols answer for them, without Cassandra. */
export async function checkStores(
  name: string,
  processors: readonly string[],
  expected: Expected,
  bars: ReadonlyMap<string, OracleBar>,
): Promise<Place> {
  const place = new Place(name)
  const barsBySymbol = groupBars(bars)
  await forEach([...expected.oracle.averages()], async ([symbol, average]) => {
    const ask = <T>(query: string, params: string) =>
      askOwner<T>(processors, `/queries/${query}?key=${encodeURIComponent(symbol)}${params}`)
    const summary = await ask<Summary>('symbol', '')
    place.counted(average.count, summary.average.count)
    place.equal(symbol, average, summary.average)
    for (const interval of INTERVALS) {
      const found = await ask<OracleBar[]>('bars', `&interval=${interval}&limit=${MOST_BARS}`)
      compareBars(place, `${symbol} bars`, barsBySymbol.get(`${symbol} ${interval}`) ?? [], found)
    }
  })
  return place
}

/** What the active owner answers; the task may just be on its way to another one. */
function askOwner<T>(processors: readonly string[], path: string): Promise<T> {
  return until(`an owner to answer ${path}`, async () => {
    for (const url of processors) {
      const answer = await fetch(`${url}${path}`)
      const body = (await answer.json()) as { result: T; source?: { role: string } }
      if (answer.ok && body.source?.role === 'active') return body.result
    }
    return undefined
  })
}

function groupBars(bars: ReadonlyMap<string, OracleBar>): Map<string, OracleBar[]> {
  const groups = new Map<string, OracleBar[]>()
  for (const bar of bars.values()) {
    const key = `${bar.symbol} ${bar.interval}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [bar])
    else group.push(bar)
  }
  return groups
}

/** Exactly these, closed or still open. */
function compareBars(place: Place, what: string, wanted: readonly OracleBar[], found: readonly OracleBar[]): void {
  const byStart = new Map(found.map((bar) => [bar.start, bar]))
  for (const bar of wanted) {
    place.equal(`${what} ${bar.interval} ${bar.start}`, bar, byStart.get(bar.start))
    byStart.delete(bar.start)
  }
  for (const { interval, start } of byStart.values()) place.differs(`${what} ${interval} ${start} should not be there`)
}

async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
}
