import { tradeMistake, type TradeMistake, type UncheckedTrade } from '@candlewick/schemas/trade-rules'
import type { Trade } from '@candlewick/schemas/types'

export type Verdict = { readonly kind: 'valid'; readonly trade: Trade } | ({ readonly kind: 'invalid' } & TradeMistake)

/**
 * Checks a trade as it came from a feed.
 * @param context who sent it and when it arrived (the clock `timestamp` is held against)
 */
export function validateTrade(unchecked: UncheckedTrade, context: { source: string; receivedAtMs: number }): Verdict {
  const mistake = tradeMistake(unchecked, context.receivedAtMs)
  if (mistake !== undefined) return { kind: 'invalid', ...mistake }
  const { symbol, price, volume, timestamp, conditions } = unchecked as Trade
  return {
    kind: 'valid',
    trade: {
      symbol,
      price,
      volume,
      timestamp,
      receivedAt: context.receivedAtMs,
      source: context.source,
      conditions: conditions ?? null,
    },
  }
}
