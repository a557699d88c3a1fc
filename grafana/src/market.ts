import { CASSANDRA, cql, dashboard, dataSourceVariable } from './build.js'

/**
 * The rows of the tables in cassandra/schema.cql, in the time range of the dashboard. Rules of the Cassandra data source:
 * the first column names the series, exactly one column is a timestamp, `$__timeFrom` is epoch ms and stands nowhere but in
 * panels, several symbols come by `${symbol:sqlstring}`. No ORDER BY: Cassandra refuses it with several partitions.
 */
const SYMBOLS = 'symbol IN (${symbol:sqlstring})'

/** Partitions of running_averages from the first day of the range on: 8 days, so any range up to a week is complete. */
const DAYS = `day IN (${first(8)
  .map((n) => `toDate((timestamp)$__timeFrom${n > 0 ? ` + ${n}d` : ''})`)
  .join(', ')})`

/** Partitions of bars: 4 months, so any range up to three months is complete. */
const MONTHS = `month IN (${first(4)
  .map((n) => `floor(toDate((timestamp)$__timeFrom), 1mo)${n > 0 ? ` + ${n}mo` : ''}`)
  .join(', ')})`

const IN_RANGE = (column: string) => `${column} >= $__timeFrom AND ${column} <= $__timeTo`

/** 0, 1, ... */
function first(count: number): number[] {
  return [...Array(count).keys()]
}

function averages(column: string, suffix = '') {
  return cql(
    `SELECT symbol, ${column}, ts FROM running_averages WHERE ${SYMBOLS} AND ${DAYS} AND ${IN_RANGE('ts')}`,
    `{{ symbol }}${suffix}`,
  )
}

function bars(columns: string, interval: string, symbols = SYMBOLS) {
  return `SELECT symbol, ${columns}, start FROM bars WHERE ${symbols} AND interval = '${interval}' AND ${MONTHS} AND ${IN_RANGE('start')}`
}

const ALL = { text: 'All', value: '$__all' }

export const market = dashboard({
  uid: 'candlewick-market',
  title: 'Candlewick: Market',
  description: 'Prices, candles and running averages, as the sink has written them to Cassandra.',
  refresh: '5s',
  time: { from: 'now-15m', to: 'now' },
  // 500 ms is offered where Grafana allows it: GF_DASHBOARDS_MIN_REFRESH_INTERVAL=500ms.
  timepicker: { refresh_intervals: ['500ms', '1s', '5s', '10s', '30s', '1m', '5m'] },
  variables: [
    dataSourceVariable('cassandra', 'Cassandra', CASSANDRA),
    {
      type: 'query',
      name: 'symbol',
      label: 'Symbols',
      datasource: CASSANDRA,
      query: { query: 'SELECT symbol FROM latest WHERE bucket = 0' },
      multi: true,
      includeAll: true,
      current: { text: ['AAPL', 'MSFT'], value: ['AAPL', 'MSFT'] },
      refresh: 1,
      sort: 1,
    },
    {
      type: 'custom',
      name: 'interval',
      label: 'Candles',
      query: '1m,5m,15m,1h,1d',
      current: { text: '1m', value: '1m' },
      options: ['1m', '5m', '15m', '1h', '1d'].map((value) => ({ text: value, value, selected: value === '1m' })),
    },
    {
      type: 'query',
      name: 'every_symbol',
      description: 'For what compares all symbols with each other.',
      datasource: CASSANDRA,
      query: { query: 'SELECT symbol FROM latest WHERE bucket = 0' },
      multi: true,
      includeAll: true,
      current: ALL,
      hide: 2,
      refresh: 1,
    },
  ],
  sections: [
    {
      title: 'Price and volume',
      panels: [
        {
          type: 'stat',
          title: 'Last price',
          description: 'The price of the newest trade of each symbol.',
          unit: 'currencyUSD',
          decimals: 2,
          width: 24,
          height: 4,
          targets: [cql(`SELECT symbol, last, last_time FROM latest WHERE bucket = 0 AND ${SYMBOLS}`, '{{ symbol }}')],
          options: { colorMode: 'none', graphMode: 'none', textMode: 'value_and_name' },
        },
        {
          type: 'timeseries',
          title: 'Price',
          description:
            'The last price of every 5 seconds; the newest point moves until its 5 seconds are over. Complete for ranges up to a week.',
          unit: 'currencyUSD',
          width: 12,
          targets: [averages('last')],
        },
        {
          type: 'timeseries',
          title: 'Volume',
          description: 'What was traded in each candle of the chosen length. Complete for ranges up to three months.',
          unit: 'short',
          min: 0,
          width: 12,
          targets: [cql(bars('volume', '$interval'), '{{ symbol }}')],
          custom: { drawStyle: 'bars', fillOpacity: 60 },
        },
      ],
    },
    {
      title: 'Candles',
      panels: [
        {
          type: 'candlestick',
          title: '$symbol, $interval',
          description:
            'Open, high, low, close and volume. The last 1m candle is still open; longer ones appear when they are closed, and a late trade corrects them.',
          unit: 'currencyUSD',
          width: 12,
          height: 11,
          targets: [cql(bars('open, high, low, close, volume', '$interval'))],
          units: { volume: 'short' },
          repeat: 'symbol',
        },
      ],
    },
    {
      title: 'Running averages',
      panels: [
        {
          type: 'timeseries',
          title: 'Average of price × volume',
          description:
            'average_price_multiply_volume: the mean of price × volume over every trade since the first one, as it stood at the end of each 5 seconds.',
          unit: 'currencyUSD',
          width: 12,
          targets: [averages('average_price_multiply_volume')],
        },
        {
          type: 'timeseries',
          title: 'Mean and VWAP',
          description:
            'The mean of all prices, and the mean weighted by volume, since the first trade. Where VWAP lies above the mean, more was traded at the higher prices.',
          unit: 'currencyUSD',
          width: 12,
          targets: [averages('mean', ' mean'), averages('vwap', ' VWAP')],
        },
      ],
    },
    {
      title: 'Activity',
      panels: [
        {
          type: 'timeseries',
          title: 'Trades per second',
          description: 'Trades of each minute divided by 60; the last minute is not over yet and shows less.',
          unit: 'ops',
          min: 0,
          width: 12,
          height: 10,
          targets: [cql(bars('CAST(trades AS double) / 60 AS trades_per_second', '1m'), '{{ symbol }}')],
        },
        {
          type: 'table',
          title: 'Top movers',
          description:
            'The 20 symbols whose price rose most over the range shown, from the first close of it to the last.',
          unit: 'currencyUSD',
          width: 12,
          height: 10,
          targets: [cql(bars('close', '1m', 'symbol IN (${every_symbol:sqlstring})'), '{{ symbol }}')],
          transformations: [
            { id: 'reduce', options: { mode: 'seriesToRows', reducers: ['first', 'last', 'diffperc'] } },
            { id: 'sortBy', options: { fields: {}, sort: [{ field: 'Difference percent', desc: true }] } },
            { id: 'limit', options: { limitField: 20 } },
            {
              id: 'organize',
              options: {
                excludeByName: {},
                indexByName: {},
                renameByName: {
                  Field: 'Symbol',
                  'Difference percent': 'Change',
                },
              },
            },
          ],
          units: { Change: 'percentunit' },
        },
      ],
    },
  ],
})
