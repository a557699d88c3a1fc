import type { AverageState } from './average.js'
import type { BarState } from './bar.js'
import { SLOTS_PER_MINUTE, type MinuteState } from './minute.js'
import { PackedReader, PackedWriter } from './packed.js'
import { NEVER, type PricePoint } from './price-point.js'
import type { Totals } from './totals.js'

/** Fits the Serde of streams. */
export interface StateCodec<S> {
  encode(state: S): Buffer
  /** @throws PackedError for bytes that this build cannot read */
  decode(bytes: Buffer, start: number, end: number): S
}

/** One of each serves all, as encoding and decoding are synchronous. */
const writer = new PackedWriter()
const reader = new PackedReader()

/** Raised when a layout changes; the build that raises it reads the one before as well. */
const VERSION = 1

function codec<S>(what: string, write: (state: S) => void, read: () => S): StateCodec<S> {
  const expected = { what, version: VERSION }
  return {
    encode(state) {
      writer.start(VERSION)
      write(state)
      return writer.finish()
    },
    decode(bytes, start, end) {
      reader.start(bytes, start, end, expected)
      const state = read()
      reader.finish()
      return state
    },
  }
}

/** Layout: count, mask of the six sums, those that are not 0: price, volume, notional, each sum and compensation. */
function writeTotals({ count, price, volume, notional }: Totals): void {
  writer.whole(count)
  writer.doubles([price.sum, price.compensation, volume.sum, volume.compensation, notional.sum, notional.compensation])
}

function readTotals(): Totals {
  const count = reader.whole()
  const mask = reader.mask()
  const next = (bit: number) => ((mask & bit) === 0 ? 0 : reader.double())
  return {
    count,
    price: { sum: next(1), compensation: next(2) },
    volume: { sum: next(4), compensation: next(8) },
    notional: { sum: next(16), compensation: next(32) },
  }
}

/** Layout: time + 1 (0 = no price), then offset and price. */
function writePoint({ price, time, offset }: PricePoint): void {
  writer.whole(time + 1)
  if (time === NEVER) return
  writer.whole(offset)
  writer.double(price)
}

function readPoint(): PricePoint {
  const time = reader.whole() - 1
  if (time === NEVER) return { price: 0, time, offset: NEVER }
  const offset = reader.whole()
  return { price: reader.double(), time, offset }
}

/** Layout: totals, open, close, high, low. */
function writeBar({ totals, open, close, high, low }: BarState): void {
  writeTotals(totals)
  writePoint(open)
  writePoint(close)
  writer.double(high)
  writer.double(low)
}

function readBar(): BarState {
  return {
    totals: readTotals(),
    open: readPoint(),
    close: readPoint(),
    high: reader.double(),
    low: reader.double(),
  }
}

/** Layout: the bar, a bit per slot that has trades (two bytes), the totals of those slots. */
function writeMinute(minute: MinuteState): void {
  writeBar(minute)
  let present = 0
  for (let slot = 0; slot < SLOTS_PER_MINUTE; slot++) if (minute.slots[slot] !== undefined) present |= 1 << slot
  writer.byte(present & 0xff)
  writer.byte(present >> 8)
  for (const slot of minute.slots) if (slot !== undefined) writeTotals(slot)
}

function readMinute(): MinuteState {
  const bar = readBar()
  const present = reader.byte() | (reader.byte() << 8)
  const slots = new Array<Totals | undefined>(SLOTS_PER_MINUTE).fill(undefined)
  for (let slot = 0; slot < SLOTS_PER_MINUTE; slot++) if ((present & (1 << slot)) !== 0) slots[slot] = readTotals()
  return { ...bar, slots }
}

/** Layout: totals, min, max, first, last, then oldest, newest and newest closing time, each + 1. */
function writeAverage(state: AverageState): void {
  writeTotals(state.totals)
  writer.double(state.min)
  writer.double(state.max)
  writePoint(state.first)
  writePoint(state.last)
  writer.whole(state.oldestTime + 1)
  writer.whole(state.newestTime + 1)
  writer.whole(state.newestCloseTime + 1)
}

function readAverage(): AverageState {
  return {
    totals: readTotals(),
    min: reader.double(),
    max: reader.double(),
    first: readPoint(),
    last: readPoint(),
    oldestTime: reader.whole() - 1,
    newestTime: reader.whole() - 1,
    newestCloseTime: reader.whole() - 1,
  }
}

export const averageStateCodec = codec('average', writeAverage, readAverage)
export const minuteStateCodec = codec('minute', writeMinute, readMinute)
export const barStateCodec = codec('bar', writeBar, readBar)
