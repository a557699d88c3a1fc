import type { Trade } from '@candlewick/schemas/types'

/**
 * What averages and bars should be, written a second time and in another way: from the sentences of the rules, with
 * sums that are exact, over all trades at once.
 */
export interface Reference {
  count: number
  price: number
  volume: number
  notional: number
  high: number | null
  low: number | null
  open: number | null
  close: number | null
  last: number | null
}

const US_ODD_LOT = '12'
const US_OFFICIAL = ['16', '20']
const US_OUT_OF_SEQUENCE = ['25', '30']

/** @param trades in the order of their offsets */
export function referenceOf(trades: readonly Trade[]): Reference {
  const us = (trade: Trade, codes: readonly string[]) =>
    !trade.symbol.includes(':') && (trade.conditions ?? []).some((code) => codes.includes(code))
  const isUpdate = (trade: Trade) => trade.volume === 0
  const isOfficial = (trade: Trade) => !isUpdate(trade) && us(trade, US_OFFICIAL)
  const isOddLot = (trade: Trade) => us(trade, [US_ODD_LOT])
  const isOutOfSequence = (trade: Trade) => us(trade, US_OUT_OF_SEQUENCE)

  const counted = trades.filter((trade) => !isUpdate(trade) && !isOfficial(trade))
  const ranged = counted.filter((trade) => !isOddLot(trade)).map(({ price }) => price)
  const ordered = byTime(counted.filter((trade) => !isOddLot(trade) && !isOutOfSequence(trade)))
  const lasts = byTime(trades.filter((trade) => isUpdate(trade) || (!isOddLot(trade) && !isOutOfSequence(trade))))
  return {
    count: counted.length,
    price: exactSum(counted.map(({ price }) => price)),
    volume: exactSum(counted.map(({ volume }) => volume)),
    notional: exactSum(counted.map(({ price, volume }) => price * volume)),
    high: ranged.length === 0 ? null : Math.max(...ranged),
    low: ranged.length === 0 ? null : Math.min(...ranged),
    open: ordered[0]?.price ?? null,
    close: ordered.at(-1)?.price ?? null,
    last: lasts.at(-1)?.price ?? null,
  }
}

/** Stable, so that trades of one millisecond stay in the order of their offsets. */
function byTime(trades: readonly Trade[]): Trade[] {
  return [...trades].sort((a, b) => a.timestamp - b.timestamp)
}

/** The sum as if there were no rounding, rounded once at the end. */
export function exactSum(values: readonly number[]): number {
  return fromUnits(values.reduce((sum, value) => sum + toUnits(value), 0n))
}

const view = new DataView(new ArrayBuffer(8))

/** A double is a whole multiple of 2^-1074. */
function toUnits(value: number): bigint {
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const exponent = (bits >> 52n) & 0x7ffn
  const fraction = bits & 0xfffffffffffffn
  const magnitude = exponent === 0n ? fraction : (fraction | 0x10000000000000n) << (exponent - 1n)
  return value < 0 ? -magnitude : magnitude
}

function fromUnits(units: bigint): number {
  const negative = units < 0n
  const magnitude = negative ? -units : units
  const excess = Math.max(0, magnitude.toString(2).length - 53)
  const half = excess === 0 ? 0n : 1n << BigInt(excess - 1)
  // Half up instead of half to even: a difference of one unit in the last place, which the tests allow.
  const mantissa = Number((magnitude + half) >> BigInt(excess))
  return (negative ? -1 : 1) * mantissa * 2 ** (excess - 1074)
}
