import { MAX_TIME_MS } from './buckets.js'
import { ValueOutOfRange } from './errors.js'

/**
 * CQL's binary form of the types our tables use (native protocol v4, section 6), written straight from numbers:
 * exact, no BigInt or Long per value, and a value that does not fit is found here, per row, instead of in the driver.
 * The driver passes Buffers through untouched; `undefined` leaves a column unset.
 */
export type Encoded = Buffer | undefined

const TWO_32 = 0x1_0000_0000

/** text: UTF-8. As part of a key it may take 65,535 bytes (Cassandra refuses more). */
export function keyText(column: string, value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  if (bytes.length === 0 || bytes.length > 0xffff) throw new ValueOutOfRange(column, `text of ${bytes.length} bytes`)
  return bytes
}

export function text(value: string | null): Encoded {
  return value === null ? undefined : Buffer.from(value, 'utf8')
}

/** double: IEEE 754, bit for bit. */
export function double(value: number | null): Encoded {
  if (value === null) return undefined
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(value)
  return bytes
}

/** bigint from a whole number that a double holds exactly. */
export function bigint(column: string, value: number): Buffer {
  if (!Number.isSafeInteger(value)) throw new ValueOutOfRange(column, value)
  const bytes = Buffer.allocUnsafe(8)
  const high = Math.floor(value / TWO_32)
  bytes.writeInt32BE(high)
  bytes.writeUInt32BE(value - high * TWO_32, 4)
  return bytes
}

/** int */
export function int(column: string, value: number): Buffer {
  if (!Number.isInteger(value) || value !== (value | 0)) throw new ValueOutOfRange(column, value)
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

export function boolean(value: boolean): Buffer {
  return Buffer.of(value ? 1 : 0)
}

/** timestamp: ms since the epoch; beyond what a Date can hold no reader could show it. */
export function timestamp(column: string, timeMs: number): Buffer {
  if (Math.abs(timeMs) > MAX_TIME_MS) throw new ValueOutOfRange(column, timeMs)
  return bigint(column, timeMs)
}

export function optionalTimestamp(column: string, timeMs: number | null): Encoded {
  return timeMs === null ? undefined : timestamp(column, timeMs)
}

/** date: days since the epoch, shifted by 2^31. */
export function date(column: string, day: number): Buffer {
  const shifted = day + 0x8000_0000
  if (!Number.isInteger(day) || shifted < 0 || shifted >= TWO_32) throw new ValueOutOfRange(column, day)
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(shifted)
  return bytes
}

/** trades.seq = partition * 2^48 + offset (see seqOf), without a BigInt. */
export function seq(partition: number, offset: number): Buffer {
  if (partition > 0x7fff || offset >= 0x1_0000_0000_0000) throw new ValueOutOfRange('seq', `${partition}/${offset}`)
  const bytes = Buffer.allocUnsafe(8)
  const high = Math.floor(offset / TWO_32)
  bytes.writeInt32BE(partition * 0x1_0000 + high)
  bytes.writeUInt32BE(offset - high * TWO_32, 4)
  return bytes
}
