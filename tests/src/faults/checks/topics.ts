import type { OracleAverage, OracleBar } from '../../oracle/fold.js'
import { avroReader, type TopicRecord } from '../../oracle/read-topic.js'
import { averageDigest, type Expected } from './expected.js'
import { Place } from './findings.js'

export type TopicBar = OracleBar & { closed: boolean; revision: number }

/**
 * The topic `averages`: every record is the fold of the symbol's trades up to some trade, in their order, so nothing that
 * was rolled back was ever visible; the last one is the fold of them all.
 */
export class AveragesTopic {
  readonly place = new Place('topic averages')
  readonly #read = avroReader<OracleAverage>('average')
  readonly #symbols = new Map<string, { last: OracleAverage; at: number; isOff: boolean }>()

  constructor(private readonly expected: Expected) {}

  take({ key, value, partition, offset }: TopicRecord): void {
    this.place.compared++
    const average = this.#read(value!)
    const known = this.#symbols.get(key!) ?? { last: average, at: 0, isOff: false }
    this.#symbols.set(key!, known)
    const where = `${key} at ${partition}/${offset}`
    if (average.count < known.last.count) {
      this.place.differs(`${where}: the count goes back from ${known.last.count} to ${average.count}`)
    }
    known.last = average
    // The first step aside says where it began; everything after it is off as well.
    if (known.isOff) return
    const folds = this.expected.averagesOf(key!)
    const wanted = averageDigest(average)
    let at = known.at
    while (at < folds.length && folds[at] !== wanted) at++
    if (at < folds.length) known.at = at
    else {
      known.isOff = true
      this.place.differs(
        `${where}: count ${average.count} is not the fold of any of its trades from the ${known.at + 1}th on`,
      )
    }
  }

  finish(): Place {
    for (const [symbol, wanted] of this.expected.oracle.averages()) {
      const found = this.#symbols.get(symbol)?.last
      this.place.counted(wanted.count, found?.count ?? 0)
      this.place.equal(symbol, wanted, found)
    }
    for (const symbol of this.#symbols.keys()) {
      if (!this.expected.oracle.symbols.has(symbol)) this.place.differs(`${symbol} should not be there`)
    }
    return this.place
  }
}

/** The topic `bars`: counts never go back, a closed bar comes once per revision and never opens again, the last is exact. */
export class BarsTopic {
  readonly place = new Place('topic bars')
  readonly last = new Map<string, TopicBar>()
  readonly #read = avroReader<TopicBar>('bar')

  constructor(
    private readonly expected: Expected,
    private readonly wanted: ReadonlyMap<string, OracleBar>,
  ) {}

  take({ value, partition, offset }: TopicRecord): void {
    this.place.compared++
    const bar = { ...this.#read(value!) }
    const key = `${bar.symbol} ${bar.interval} ${bar.start}`
    const before = this.last.get(key)
    this.last.set(key, bar)
    if (before === undefined) return
    const where = `${key} at ${partition}/${offset}`
    if (bar.trades < before.trades)
      this.place.differs(`${where}: trades go back from ${before.trades} to ${bar.trades}`)
    if (!before.closed) return
    if (!bar.closed) this.place.differs(`${where}: it is open again`)
    else if (bar.revision !== before.revision + 1) {
      this.place.differs(`${where}: revision ${bar.revision} comes after ${before.revision}`)
    }
  }

  finish(): Place {
    const { place, wanted, last } = this
    for (const [key, bar] of wanted) {
      const { symbol, interval, start } = bar
      const found = last.get(key)
      const due = this.expected.isDue(symbol, interval, start)
      if (found === undefined && interval !== '1m' && !due) continue
      if (interval === '1m') place.counted(bar.trades, found?.trades ?? 0)
      place.equal(key, due ? { ...bar, closed: true } : bar, found)
    }
    for (const key of last.keys()) if (!wanted.has(key)) place.differs(`${key} should not be there`)
    return place
  }
}
