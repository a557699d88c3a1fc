import { averageStateCodec, barStateCodec, minuteStateCodec } from '@candlewick/processor/market/state-codecs'
import type { Fold, Pair } from '../../oracle/fold.js'
import type { TopicRecord } from '../../oracle/read-topic.js'
import type { Expected } from './expected.js'
import { Place } from './findings.js'
import type { TopicBar } from './topics.js'

/** Store -> length of its bars. */
const WINDOW_STORES: Readonly<Record<string, string>> = {
  minutes: '1m',
  'bars-5m': '5m',
  'bars-15m': '15m',
  'bars-1h': '1h',
  'bars-1d': '1d',
}

const changelogOf = (applicationId: string, store: string) => `${applicationId}-${store}-changelog`

/** Folds of the changelogs (the last value of each key, null = deleted): what a store restored from nothing would hold. */
export class Changelogs {
  readonly place = new Place('changelog folds')
  readonly topics: readonly string[]
  readonly #folds = new Map<string, Map<string, Buffer>>()

  constructor(private readonly applicationId: string) {
    this.topics = ['averages', ...Object.keys(WINDOW_STORES)].map((store) => changelogOf(applicationId, store))
    for (const topic of this.topics) this.#folds.set(topic, new Map())
  }

  take(topic: string, { keyBytes, value }: TopicRecord): void {
    this.place.compared++
    const fold = this.#folds.get(topic)!
    const key = keyBytes!.toString('latin1')
    if (value === null) fold.delete(key)
    else fold.set(key, value)
  }

  /** @param published the last announcement of each bar, read after the changelogs */
  finish(expected: Expected, published: ReadonlyMap<string, TopicBar>): Place {
    this.#averages(expected)
    const wanted = new Map<string, { fold: Fold; due: boolean }>()
    for (const { symbol, interval, start, fold } of expected.windows()) {
      wanted.set(`${symbol} ${interval} ${start}`, { fold, due: expected.isDue(symbol, interval, start) })
    }
    for (const [store, interval] of Object.entries(WINDOW_STORES)) this.#windows(store, interval, wanted, published)
    return this.place
  }

  #averages({ oracle }: Expected): void {
    const { place } = this
    const found = this.#folds.get(changelogOf(this.applicationId, 'averages'))!
    for (const [symbol, { fold, last, oldest, newest }] of oracle.symbols) {
      const bytes = found.get(Buffer.from(symbol).toString('latin1'))
      const state = bytes && averageStateCodec.decode(bytes, 0, bytes.length)
      place.counted(fold.trades, state?.totals.count ?? 0)
      const wanted = {
        ...totalsOf(fold),
        ...{
          first: pointText(fold.first),
          last: pointText(last),
          min: fold.low ?? Infinity,
          max: fold.high ?? -Infinity,
        },
        ...{ oldest, newest, newestClose: fold.final?.[0] ?? -1 },
      }
      place.equal(
        `averages ${symbol}`,
        wanted,
        state && {
          ...foundTotals(state.totals),
          ...{ first: foundPoint(state.first), last: foundPoint(state.last), min: state.min, max: state.max },
          ...{ oldest: state.oldestTime, newest: state.newestTime, newestClose: state.newestCloseTime },
        },
      )
    }
    if (found.size > oracle.symbols.size)
      place.differs(`averages: ${found.size} symbols, must be ${oracle.symbols.size}`)
  }

  #windows(
    store: string,
    interval: string,
    wanted: ReadonlyMap<string, { fold: Fold; due: boolean }>,
    published: ReadonlyMap<string, TopicBar>,
  ): void {
    const { place } = this
    const found = this.#folds.get(changelogOf(this.applicationId, store))!
    const seen = new Set<string>()
    for (const [keyText, bytes] of found) {
      const { symbol, start } = windowOf(Buffer.from(keyText, 'latin1'))
      const key = `${symbol} ${interval} ${start}`
      seen.add(key)
      const window = wanted.get(key)
      if (window === undefined) {
        place.differs(`${store} ${key} should not be there`)
        continue
      }
      const closed = (bytes[0]! & 1) === 1
      const revision = bytes.readInt32BE(1)
      const codec = interval === '1m' ? minuteStateCodec : barStateCodec
      const { totals, open, close, high, low } = codec.decode(bytes, 5, bytes.length)
      const { fold, due } = window
      if (interval === '1m') place.counted(fold.trades, totals.count)
      place.equal(
        `${store} ${key}`,
        {
          ...totalsOf(fold),
          ...{ open: pointText(fold.first), close: pointText(fold.final) },
          ...{ high: fold.high ?? -Infinity, low: fold.low ?? Infinity, closed: closed || due },
        },
        { ...foundTotals(totals), open: foundPoint(open), close: foundPoint(close), high, low, closed },
      )
      if (!closed || fold.first === null) continue
      const told = published.get(key)?.revision ?? -1
      if (told < revision) place.differs(`${store} ${key}: revision ${revision} was not announced, only ${told}`)
    }
    for (const [key, { fold, due }] of wanted) {
      if (seen.has(key) || key.split(' ').at(-2) !== interval || !(due || interval === '1m')) continue
      if (interval === '1m') place.counted(fold.trades, 0)
      place.differs(`${store} ${key} is missing`)
    }
  }
}

/** The key of a window: two bytes of length, the key, eight bytes of start. */
function windowOf(key: Buffer): { symbol: string; start: number } {
  const end = 2 + key.readUInt16BE(0)
  return { symbol: key.toString('utf8', 2, end), start: Number(key.readBigUInt64BE(end)) }
}

const pairText = ([sum, lost]: Pair) => `${sum} ${lost}`
const pointText = (point: [number, number, number] | null) => (point === null ? 'none' : point.join(' '))

function totalsOf({ trades, prices, volumes, notionals }: Fold) {
  return { count: trades, prices: pairText(prices), volumes: pairText(volumes), notionals: pairText(notionals) }
}

interface FoundSum {
  sum: number
  compensation: number
}

function foundTotals(totals: { count: number; price: FoundSum; volume: FoundSum; notional: FoundSum }) {
  const text = ({ sum, compensation }: FoundSum) => pairText([sum, compensation])
  const { count, price, volume, notional } = totals
  return { count, prices: text(price), volumes: text(volume), notionals: text(notional) }
}

function foundPoint({ time, offset, price }: { time: number; offset: number; price: number }): string {
  return pointText(time === -1 ? null : [time, offset, price])
}
