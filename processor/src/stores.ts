import type { Interval } from '@candlewick/schemas/intervals'
import { symbolKey } from '@candlewick/schemas/codecs'
import { keyValueStore, windowStore } from '@candlewick/streams'
import { averageStateCodec, barStateCodec, minuteStateCodec } from './market/state-codecs.js'

export const DAY_MS = 24 * 60 * 60 * 1000

/** A trade enters its bars up to this long after they ended, in stream time; what comes later is counted as late. */
export const GRACE_MS = DAY_MS

/** Parts of a day that still takes trades: 25 h + the grace, and a good margin for moving averages and charts. */
const PARTS_RETENTION_MS = 3 * DAY_MS
const DAYS_RETENTION_MS = 8 * DAY_MS

/** State by symbol, and by symbol and start of the bar. The names are those of the changelog topics: never change them. */
export const averages = keyValueStore('averages', { key: symbolKey, value: averageStateCodec })
export const minutes = windowStore('minutes', {
  key: symbolKey,
  value: minuteStateCodec,
  retentionMs: PARTS_RETENTION_MS,
})

const merged = (name: string, retentionMs: number) =>
  windowStore(name, { key: symbolKey, value: barStateCodec, retentionMs })

/** Closed bars longer than a minute. */
export const longerBars = {
  '5m': merged('bars-5m', PARTS_RETENTION_MS),
  '15m': merged('bars-15m', PARTS_RETENTION_MS),
  '1h': merged('bars-1h', PARTS_RETENTION_MS),
  '1d': merged('bars-1d', DAYS_RETENTION_MS),
} satisfies Record<Exclude<Interval, '1m'>, unknown>
