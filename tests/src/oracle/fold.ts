/**
 * What averages and bars must be, worked out from the trades alone by the rules of the documentation. It shares no code
 * with what it checks: types, rules, sums and windows are written here once more, as plainly as possible.
 */
export interface OracleTrade {
  symbol: string
  price: number
  volume: number
  timestamp: number
  conditions: string[] | null
  /** Of the record on the topic: decides between trades of the same millisecond. */
  offset: number
}

/** Neumaier's sum as a pair: [sum, what rounding lost]. */
export type Pair = [number, number]

function plus([sum, lost]: Pair, value: number): Pair {
  const total = sum + value
  const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum
  return [total, lost + error]
}

function plusPair(a: Pair, b: Pair): Pair {
  const [sum, lost] = plus(a, b[0])
  return [sum, lost + b[1]]
}

const total = ([sum, lost]: Pair) => sum + lost

export interface Fold {
  trades: number
  prices: Pair
  volumes: Pair
  notionals: Pair
  /** Every price that may be a high or low. */
  high: number | null
  low: number | null
  /** [time, offset, price] of the first and last that may open and close. */
  first: [number, number, number] | null
  final: [number, number, number] | null
}

const nothing = (): Fold => ({
  trades: 0,
  prices: [0, 0],
  volumes: [0, 0],
  notionals: [0, 0],
  high: null,
  low: null,
  first: null,
  final: null,
})

const isBefore = (a: [number, number, number], b: [number, number, number]) =>
  a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])

/** The rules of a trade, by symbol, volume and conditions (processor/README.md has the table). */
function rules({ symbol, volume, conditions }: OracleTrade) {
  const codes = symbol.includes(':') ? [] : (conditions ?? [])
  const has = (...wanted: string[]) => codes.some((code) => wanted.includes(code))
  const isNoTrade = volume === 0 || has('16', '20')
  const isOddLot = volume !== 0 && has('12')
  const isLateReport = volume !== 0 && has('25', '30')
  return {
    counts: !isNoTrade,
    opensAndCloses: !isNoTrade && !isOddLot && !isLateReport,
    makesRange: !isNoTrade && !isOddLot,
    isLast: !isOddLot && !isLateReport,
  }
}

function fold(into: Fold, trade: OracleTrade): void {
  const { price, volume, timestamp, offset } = trade
  const { counts, opensAndCloses, makesRange } = rules(trade)
  if (counts) {
    into.trades += 1
    into.prices = plus(into.prices, price)
    into.volumes = plus(into.volumes, volume)
    into.notionals = plus(into.notionals, price * volume)
  }
  if (makesRange) {
    into.high = into.high === null ? price : Math.max(into.high, price)
    into.low = into.low === null ? price : Math.min(into.low, price)
  }
  if (opensAndCloses) {
    const point: [number, number, number] = [timestamp, offset, price]
    if (into.first === null || isBefore(point, into.first)) into.first = point
    if (into.final === null || isBefore(into.final, point)) into.final = point
  }
}

function merge(parts: Fold[]): Fold {
  const merged = nothing()
  for (const part of parts) {
    merged.trades += part.trades
    merged.prices = plusPair(merged.prices, part.prices)
    merged.volumes = plusPair(merged.volumes, part.volumes)
    merged.notionals = plusPair(merged.notionals, part.notionals)
    if (part.high !== null) merged.high = merged.high === null ? part.high : Math.max(merged.high, part.high)
    if (part.low !== null) merged.low = merged.low === null ? part.low : Math.min(merged.low, part.low)
    if (part.first !== null && (merged.first === null || isBefore(part.first, merged.first))) merged.first = part.first
    if (part.final !== null && (merged.final === null || isBefore(merged.final, part.final))) merged.final = part.final
  }
  return merged
}

export interface OracleAverage {
  symbol: string
  count: number
  volume: number
  notional: number
  mean: number | null
  vwap: number | null
  priceVolumeMean: number | null
  min: number | null
  max: number | null
  first: number | null
  firstTime: number | null
  last: number | null
  lastTime: number | null
  asOf: number
}

export interface OracleBar {
  symbol: string
  interval: string
  start: number
  open: number
  high: number
  low: number
  close: number
  volume: number
  notional: number
  vwap: number | null
  trades: number
}

const MINUTE = 60_000
/** Each length and what it is merged from, as multiples of a minute; days are UTC days. */
const LENGTHS = [
  ['5m', 5, 1],
  ['15m', 15, 5],
  ['1h', 60, 15],
  ['1d', 1440, 60],
] as const

/** All that is known of a symbol over all its trades. */
export interface SymbolFold {
  fold: Fold
  /** [time, offset, price] of the last that moves the last price. */
  last: [number, number, number] | null
  oldest: number
  newest: number
}

/** Folds trades in the order in which they stand on their partition. */
export class Oracle {
  readonly #symbols = new Map<string, SymbolFold>()
  /** symbol -> minute number -> fold */
  readonly #minutes = new Map<string, Map<number, Fold>>()
  trades = 0

  add(trade: OracleTrade): void {
    this.trades++
    const { symbol, price, timestamp, offset } = trade
    const known = this.#symbols.get(symbol) ?? { fold: nothing(), last: null, oldest: timestamp, newest: -1 }
    this.#symbols.set(symbol, known)
    fold(known.fold, trade)
    const { isLast, counts } = rules(trade)
    const point: [number, number, number] = [timestamp, offset, price]
    if (isLast && (known.last === null || isBefore(known.last, point))) known.last = point
    known.oldest = Math.min(known.oldest, timestamp)
    known.newest = Math.max(known.newest, timestamp)

    if (!counts) return
    const minutes = this.#minutes.get(symbol) ?? new Map<number, Fold>()
    this.#minutes.set(symbol, minutes)
    const minute = Math.floor(timestamp / MINUTE)
    const bar = minutes.get(minute) ?? nothing()
    minutes.set(minute, bar)
    fold(bar, trade)
  }

  get symbols(): ReadonlyMap<string, SymbolFold> {
    return this.#symbols
  }

  averages(): Map<string, OracleAverage> {
    return new Map([...this.#symbols.keys()].map((symbol) => [symbol, this.averageOf(symbol)!]))
  }

  /** The running average as it stands now; undefined while there was no trade. */
  averageOf(symbol: string): OracleAverage | undefined {
    const known = this.#symbols.get(symbol)
    if (known === undefined) return undefined
    const { fold, last, newest } = known
    const volume = total(fold.volumes)
    const notional = total(fold.notionals)
    return {
      symbol,
      count: fold.trades,
      volume,
      notional,
      mean: fold.trades === 0 ? null : total(fold.prices) / fold.trades,
      vwap: volume > 0 ? notional / volume : null,
      priceVolumeMean: fold.trades === 0 ? null : notional / fold.trades,
      min: fold.low,
      max: fold.high,
      first: fold.first?.[2] ?? null,
      firstTime: fold.first?.[0] ?? null,
      last: last?.[2] ?? null,
      lastTime: last?.[0] ?? null,
      asOf: newest,
    }
  }

  /** Every bar that may be published: those in which a trade set a price. Keyed `symbol interval start`. */
  bars(): Map<string, OracleBar> {
    const bars = new Map<string, OracleBar>()
    for (const { symbol, interval, start, fold } of this.windows()) {
      if (fold.first === null || fold.final === null || fold.high === null || fold.low === null) continue
      const volume = total(fold.volumes)
      const notional = total(fold.notionals)
      bars.set(`${symbol} ${interval} ${start}`, {
        symbol,
        interval,
        start,
        open: fold.first[2],
        high: fold.high,
        low: fold.low,
        close: fold.final[2],
        volume,
        notional,
        vwap: volume > 0 ? notional / volume : null,
        trades: fold.trades,
      })
    }
    return bars
  }

  /** Every window that has a counted trade, of every length, with or without a price. */
  *windows(): Generator<{ symbol: string; interval: string; start: number; fold: Fold }> {
    for (const [symbol, minutes] of this.#minutes) {
      let smaller: Map<number, Fold> = minutes
      for (const [at, fold] of minutes) yield { symbol, interval: '1m', start: at * MINUTE, fold }
      for (const [interval, length, partLength] of LENGTHS) {
        const parts = new Map<number, [number, Fold][]>()
        for (const [at, part] of smaller) {
          const start = Math.floor((at * partLength) / length)
          parts.set(start, [...(parts.get(start) ?? []), [at, part]])
        }
        smaller = new Map(
          [...parts].map(([start, found]) => [start, merge(found.sort(([a], [b]) => a - b).map(([, part]) => part))]),
        )
        for (const [at, fold] of smaller) yield { symbol, interval, start: at * length * MINUTE, fold }
      }
    }
  }
}
