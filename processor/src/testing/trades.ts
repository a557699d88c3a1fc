import fc from 'fast-check'
import type { Trade } from '@candlewick/schemas/types'

/** A Tuesday, 09:30 in New York, 13:30 UTC. */
export const OPENING_MS = Date.UTC(2026, 5, 9, 13, 30)

/** A regular trade of AAPL; `seconds` after the opening. */
export function tradeAt(seconds: number, fields: Partial<Trade> = {}): Trade {
  const timestamp = OPENING_MS + seconds * 1000
  return {
    symbol: 'AAPL',
    price: 100,
    volume: 10,
    timestamp,
    receivedAt: timestamp + 20,
    source: 'finnhub',
    conditions: null,
    ...fields,
  }
}

const conditions = fc.option(
  fc.array(fc.constantFrom('1', '12', '16', '20', '24', '25', '30', '37', '41', '999'), { maxLength: 3 }),
  { nil: null },
)

/** Trades in the order of their offsets: shared milliseconds, out of order, price updates and every condition. */
export function tradeStreams({ spanMs, symbol = 'AAPL' }: { spanMs: number; symbol?: string }): fc.Arbitrary<Trade[]> {
  const trade = fc.record({
    symbol: fc.constant(symbol),
    price: fc.integer({ min: 1, max: 10_000_000 }).map((ticks) => ticks / 100),
    volume: fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
      { weight: 2, arbitrary: fc.double({ min: 1e-8, max: 1, noNaN: true }) },
      { weight: 1, arbitrary: fc.constant(0) },
    ),
    timestamp: fc.integer({ min: 0, max: Math.floor(spanMs / 250) }).map((step) => OPENING_MS + step * 250),
    receivedAt: fc.constant(OPENING_MS),
    source: fc.constant('finnhub'),
    conditions,
  })
  return fc.array(trade, { maxLength: 120 })
}
