/**
 * THE table of trade rules: what a trade may change, by its sale conditions. Processor and gateway go by it, so that
 * a price on the page and a price in a bar follow the same rule.
 *
 * The codes are those of Finnhub's US equities and mean what the consolidated tape's update rules say (CTA and UTP:
 * "odd lot: volume only", "sold out of sequence: high/low, not last", "official open/close: no volume").
 * Elsewhere, and for codes that are not listed, every trade is regular.
 * https://finnhub.io/docs/api/websocket-trades (field c); CTS and UTP specifications, "sale condition update rules"
 */
export interface TradeRule {
  /** A trade: adds to count, volume and notional. */
  readonly counts: boolean
  /** May become open and close of a bar and the first price of the running average, by (timestamp, offset). */
  readonly setsClose: boolean
  /** May become high and low. */
  readonly setsRange: boolean
  /** May become the last price, by (timestamp, offset). */
  readonly setsLast: boolean
}

const REGULAR: TradeRule = { counts: true, setsClose: true, setsRange: true, setsLast: true }
/** Adds volume, sets no price. */
const ODD_LOT: TradeRule = { counts: true, setsClose: false, setsRange: false, setsLast: false }
/** Happened earlier than it is reported: may have been a high or low, is not the last. */
const OUT_OF_SEQUENCE: TradeRule = { counts: true, setsClose: false, setsRange: true, setsLast: false }
/** A price without a trade: official prints (their volume was reported before) and updates with volume 0. */
const PRICE_ONLY: TradeRule = { counts: false, setsClose: false, setsRange: false, setsLast: true }

const US_EQUITY_RULES: ReadonlyMap<string, TradeRule> = new Map([
  ['12', ODD_LOT],
  ['16', PRICE_ONLY], // official close
  ['20', PRICE_ONLY], // official open
  ['25', OUT_OF_SEQUENCE],
  ['30', OUT_OF_SEQUENCE],
])

/** Feeds put the exchange before a colon where it is not the US equity market: BINANCE:BTCUSDT, OANDA:EUR_USD. */
function isUsEquity(symbol: string): boolean {
  return !symbol.includes(':')
}

/** What a trade with these conditions may change; with several codes, what all of them allow. */
export function ruleOf(trade: { symbol: string; volume: number; conditions: readonly string[] | null }): TradeRule {
  if (trade.volume === 0) return PRICE_ONLY
  const { conditions } = trade
  if (conditions === null || conditions.length === 0 || !isUsEquity(trade.symbol)) return REGULAR
  let rule = REGULAR
  for (const code of conditions) {
    const own = US_EQUITY_RULES.get(code)
    if (own !== undefined && own !== rule) rule = rule === REGULAR ? own : strictest(rule, own)
  }
  return rule
}

function strictest(a: TradeRule, b: TradeRule): TradeRule {
  return {
    counts: a.counts && b.counts,
    setsClose: a.setsClose && b.setsClose,
    setsRange: a.setsRange && b.setsRange,
    setsLast: a.setsLast && b.setsLast,
  }
}
