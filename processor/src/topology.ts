import { averageCodec, barCodec, symbolKey, tradeCodec } from '@candlewick/schemas/codecs'
import type { Interval } from '@candlewick/schemas/intervals'
import type { TopicNames } from '@candlewick/schemas/topics'
import { tradeComplaint } from '@candlewick/schemas/trade-rules'
import type { Bar } from '@candlewick/schemas/types'
import {
  calendarDays,
  StreamsBuilder,
  tumbling,
  type AnnouncedKStream,
  type Announcement,
  type Topology,
  type Windows,
} from '@candlewick/streams'
import { addTrade, emptyAverage, publishAverage } from './market/average.js'
import { entersBars, isPriced, mergeBars, publishBar, type BarState } from './market/bar.js'
import { addTradeToMinute, emptyMinute, MINUTE_MS } from './market/minute.js'
import { averages, GRACE_MS, longerBars, minutes } from './stores.js'

/** How long a closed bar waits for trades that are late, before it is announced. They enter it afterwards as well. */
export const CLOSED_AFTER_MS = 10_000
/** An open minute is announced at most this often. */
export const OPEN_AT_MOST_EVERY_MS = 250

export type BarWindows = Readonly<Record<Interval, Windows>>

/**
 * How bars cut time: to the epoch, and days to the calendar of a time zone.
 * @throws RangeError for a time zone that is unknown or not whole hours off UTC
 */
export function barWindows(dayTimeZone: string): BarWindows {
  const minutesLong = (count: number) => tumbling({ sizeMs: count * MINUTE_MS, graceMs: GRACE_MS })
  return {
    '1m': minutesLong(1),
    '5m': minutesLong(5),
    '15m': minutesLong(15),
    '1h': minutesLong(60),
    '1d': calendarDays({ timeZone: dayTimeZone, graceMs: GRACE_MS }),
  }
}

/** From trades to running averages and bars. */
export function marketTopology(topics: TopicNames, windows: BarWindows): Topology {
  const builder = new StreamsBuilder()
  const trades = builder.stream(topics.trades, {
    key: symbolKey,
    value: tradeCodec,
    timestamp: (trade) => trade.timestamp,
    createdAt: (trade) => trade.receivedAt,
    check: tradeComplaint,
    deadLetterTopic: topics.deadLetters,
  })

  trades
    .groupByKey()
    .aggregate(averages, emptyAverage, addTrade)
    .toStream()
    .mapValues(publishAverage)
    .to(topics.averages, { key: symbolKey, value: averageCodec, timestamp: (average) => average.asOf })

  // Price updates and official prints are left out before the windows: they would open empty ones.
  const oneMinute = trades
    .filter(entersBars)
    .groupByKey()
    .windowedBy(windows['1m'])
    .aggregate(minutes, emptyMinute, addTradeToMinute)
    .emit({ openAtMostEveryMs: OPEN_AT_MOST_EVERY_MS, closedAfterMs: CLOSED_AFTER_MS })
  const fiveMinutes = oneMinute.rollUp(windows['5m'], longerBars['5m'], mergeBars)
  const fifteenMinutes = fiveMinutes.rollUp(windows['15m'], longerBars['15m'], mergeBars)
  const oneHour = fifteenMinutes.rollUp(windows['1h'], longerBars['1h'], mergeBars)
  const oneDay = oneHour.rollUp(windows['1d'], longerBars['1d'], mergeBars)

  const publish = <S extends BarState>(interval: Interval, bars: AnnouncedKStream<string, S>) => {
    bars
      .filter(({ value }) => isPriced(value))
      .mapValues((announcement, symbol) => toBar(announcement, symbol, interval))
      .to(topics.bars, { key: symbolKey, value: barCodec, timestamp: (bar) => bar.start })
  }
  publish('1m', oneMinute)
  publish('5m', fiveMinutes)
  publish('15m', fifteenMinutes)
  publish('1h', oneHour)
  publish('1d', oneDay)

  return builder.build()
}

function toBar({ window, value, closed, revision }: Announcement<BarState>, symbol: string, interval: Interval): Bar {
  const bar = publishBar(value, { symbol, interval, startMs: window.startMs, closed, revision })
  if (bar === undefined) throw new Error(`${symbol} ${interval} ${window.startMs}: a bar without a price`)
  return bar
}
