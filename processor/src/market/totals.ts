import { addToSum, emptySum, mergeSum, valueOf, type Sum } from './sums.js'

/** What trades add up to, whatever the stretch of time: the part of averages, bars and slots that can be merged. */
export interface Totals {
  count: number
  price: Sum
  volume: Sum
  /** price * volume */
  notional: Sum
}

export function emptyTotals(): Totals {
  return { count: 0, price: emptySum(), volume: emptySum(), notional: emptySum() }
}

/** Only for trades whose rule says that they count. */
export function addToTotals(into: Totals, price: number, volume: number): void {
  into.count++
  addToSum(into.price, price)
  addToSum(into.volume, volume)
  addToSum(into.notional, price * volume)
}

export function mergeTotals(into: Totals, other: Totals): void {
  into.count += other.count
  mergeSum(into.price, other.price)
  mergeSum(into.volume, other.volume)
  mergeSum(into.notional, other.notional)
}

export interface Means {
  count: number
  volume: number
  notional: number
  /** sum(price) / count */
  mean: number | null
  /** notional / volume */
  vwap: number | null
  /** notional / count */
  priceVolumeMean: number | null
}

/** The published numbers; means of nothing are null. */
export function meansOf(totals: Totals): Means {
  const { count } = totals
  const volume = valueOf(totals.volume)
  const notional = valueOf(totals.notional)
  return {
    count,
    volume,
    notional,
    mean: count === 0 ? null : valueOf(totals.price) / count,
    vwap: volume > 0 ? notional / volume : null,
    priceVolumeMean: count === 0 ? null : notional / count,
  }
}
