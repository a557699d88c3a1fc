// Generated from the .avsc files by npm run generate -w schemas: edit those.

/** One trade, or one price update (volume 0), as a feed reported it. Record key on the topic: symbol. */
export interface Trade {
  /** Instrument as the feed names it: AAPL, BINANCE:BTCUSDT, OANDA:EUR_USD. */
  symbol: string
  /** Price per unit; finite, > 0. */
  price: number
  /** Units traded; finite, >= 0. 0 is a price update, not a trade. */
  volume: number
  /** Event time: when the trade happened, epoch milliseconds UTC. Every window goes by this. */
  timestamp: number
  /** When the producer took it from the feed, epoch milliseconds UTC. For latency only; nothing is computed from it. */
  receivedAt: number
  /** The feed it came from: finnhub, recording. */
  source: string
  /** Sale condition codes of the feed; null when it sent none. What they mean is decided in src/conditions.ts. */
  conditions: string[] | null
}

/** Running aggregates of one symbol over all its trades: an upsert, the newest record per symbol counts. Record key on the topic: symbol. */
export interface Average {
  /** Instrument as the feed names it. */
  symbol: string
  /** Trades counted (price updates and official prints are not). */
  count: number
  /** Sum of the volumes of the counted trades. */
  volume: number
  /** Sum of price * volume of the counted trades. */
  notional: number
  /** sum(price) / count; null while count is 0. */
  mean: number | null
  /** Volume weighted average price: notional / volume; null while volume is 0. */
  vwap: number | null
  /** notional / count, the mean of price * volume; null while count is 0. */
  priceVolumeMean: number | null
  /** Lowest price of a trade that may set a low; null until there is one. */
  min: number | null
  /** Highest price of a trade that may set a high; null until there is one. */
  max: number | null
  /** Price of the first trade by (timestamp, offset) that may set an open; null until there is one. */
  first: number | null
  /** Event time of first, epoch milliseconds UTC. */
  firstTime: number | null
  /** Last price by (timestamp, offset), price updates and official prints included; null until there is one. */
  last: number | null
  /** Event time of last, epoch milliseconds UTC. */
  lastTime: number | null
  /** Newest event time folded in, epoch milliseconds UTC. */
  asOf: number
}

/** One OHLCV bar of one symbol. An open bar is repeated while it grows; a closed one comes once per revision. Record key on the topic: symbol. */
export interface Bar {
  /** Instrument as the feed names it. */
  symbol: string
  /** Length of the bar. */
  interval: '1m' | '5m' | '15m' | '1h' | '1d'
  /** First instant of the bar, epoch milliseconds UTC; a 1d bar starts at midnight of the configured time zone. */
  start: number
  /** Price of the first price-setting trade by (timestamp, offset). */
  open: number
  /** Highest price of a trade that may set a high. */
  high: number
  /** Lowest price of a trade that may set a low. */
  low: number
  /** Price of the last price-setting trade by (timestamp, offset). */
  close: number
  /** Sum of the volumes of the counted trades. */
  volume: number
  /** Sum of price * volume of the counted trades. */
  notional: number
  /** notional / volume; null when volume is 0. */
  vwap: number | null
  /** Trades counted, odd lots and trades out of sequence included. */
  trades: number
  /** true once the bar was announced closed. */
  closed: boolean
  /** 0 for the first closed announcement and while open; one more for each correction by a late trade. */
  revision: number
}
