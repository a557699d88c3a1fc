import type { Average, Bar, Trade } from '@candlewick/schemas/types'

/** 2026-11-20 14:30 UTC, a Friday */
export const FRIDAY = Date.UTC(2026, 10, 20, 14, 30)

export function trade(changes: Partial<Trade> = {}): Trade {
  const timestamp = changes.timestamp ?? FRIDAY
  return {
    symbol: 'AAPL',
    price: 271.49,
    volume: 100,
    timestamp,
    receivedAt: timestamp + 40,
    source: 'finnhub',
    conditions: null,
    ...changes,
  }
}

export function average(changes: Partial<Average> = {}): Average {
  const asOf = changes.asOf ?? FRIDAY
  return {
    symbol: 'AAPL',
    count: 3,
    volume: 60,
    notional: 16_289.4,
    mean: 271.49,
    vwap: 271.49000000000001,
    priceVolumeMean: 5_429.799999999999,
    min: 271.4,
    max: 271.6,
    first: 271.4,
    firstTime: asOf - 1000,
    last: 271.6,
    lastTime: asOf,
    asOf,
    ...changes,
  }
}

export function bar(changes: Partial<Bar> = {}): Bar {
  return {
    symbol: 'AAPL',
    interval: '1m',
    start: FRIDAY,
    open: 271.4,
    high: 271.6,
    low: 271.3,
    close: 271.5,
    volume: 60,
    notional: 16_289.4,
    vwap: 271.49,
    trades: 3,
    closed: true,
    revision: 0,
    ...changes,
  }
}
