import { INTERVALS } from '@candlewick/schemas/intervals'
import { Type, type Static, type TSchema } from 'typebox'
import { LONGEST_LIMIT, SHORTEST_LIMIT } from './parameters.js'

/**
 * What requests may say and what answers hold: validated on the way in, documented on the way out, and held against
 * every answer in the tests. Times are epoch milliseconds. Fields of trades, averages and bars are those of schemas/.
 */
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const time = (description: string) => Type.Integer({ description: `${description} (epoch ms)` })
const number = (description: string) => Type.Number({ description })
const oneOf = <const T extends readonly string[]>(
  values: T,
  options: { default?: T[number]; description?: string } = {},
) => Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })
const strict = { additionalProperties: false } as const

export const SymbolParams = Type.Object({
  symbol: Type.String({
    description: 'as the feed names it, percent-encoded where need be: BINANCE%3ABTCUSDT, FX%3AEUR%2FUSD',
    examples: ['AAPL'],
  }),
})

const limit = (fallback: number) =>
  Type.Integer({
    minimum: SHORTEST_LIMIT,
    maximum: LONGEST_LIMIT,
    default: fallback,
    description: `at most so many, ${SHORTEST_LIMIT} to ${LONGEST_LIMIT}`,
  })

const maxStaleMs = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: 86_400_000,
    description: 'no answer that may be older than this: 503 when only a standby behind it answers',
  }),
)
export const LiveQuery = Type.Object({ maxStaleMs }, strict)

export const ListQuery = Type.Object(
  {
    maxStaleMs,
    limit: limit(1_000),
    after: Type.Optional(Type.String({ description: 'go on behind this symbol: `next` of the page before' })),
  },
  strict,
)

export const AverageQuery = Type.Object(
  {
    window: Type.String({
      default: 'all',
      description: 'all, or a number with its unit s, m or h: a multiple of 5s, at most 24h',
      examples: ['60s', '5m', '1h', 'all'],
    }),
    maxStaleMs,
  },
  strict,
)

const range = {
  from: Type.Optional(
    Type.String({
      description: 'epoch ms or RFC 3339, inclusive; the answer holds the first `limit` from here, without it the last',
      examples: ['2026-01-31T14:30:00Z'],
    }),
  ),
  to: Type.Optional(Type.String({ description: 'epoch ms or RFC 3339, inclusive; default: now' })),
  limit: limit(500),
}
export const TradesQuery = Type.Object(range, strict)
export const BarsQuery = Type.Object(
  { interval: oneOf(INTERVALS, { default: '1m', description: 'length of a bar' }), ...range, maxStaleMs },
  strict,
)
export const NoQuery = Type.Object({}, strict)

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'identifies the kind of problem' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'the reason, for people' }),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details' },
)

export const Source = Type.Object(
  {
    instance: Type.String({ description: 'the processor that answered' }),
    role: oneOf(['active', 'standby']),
    staleMs: number('age of its state at most: 0 = as the active task committed it'),
    generation: Type.Integer({ description: 'of the consumer group when it answered' }),
  },
  { $id: 'Source', description: 'who answered about live state' },
)

export const Average = Type.Object(
  {
    symbol: Type.String(),
    count: Type.Integer({ description: 'trades counted' }),
    volume: number('sum of volumes'),
    notional: number('sum of price * volume'),
    mean: nullable(number('sum of prices / count')),
    vwap: nullable(number('notional / volume')),
    priceVolumeMean: nullable(number('notional / count')),
    min: nullable(Type.Number()),
    max: nullable(Type.Number()),
    first: nullable(Type.Number()),
    firstTime: nullable(time('of first')),
    last: nullable(Type.Number()),
    lastTime: nullable(time('of last')),
    asOf: time('newest event folded in'),
  },
  { $id: 'Average', description: 'running averages over all trades of a symbol' },
)

export const Bar = Type.Object(
  {
    symbol: Type.String(),
    interval: oneOf(INTERVALS),
    start: time('inclusive beginning'),
    open: Type.Number(),
    high: Type.Number(),
    low: Type.Number(),
    close: Type.Number(),
    volume: Type.Number(),
    notional: Type.Number(),
    vwap: nullable(Type.Number()),
    trades: Type.Integer(),
    closed: Type.Boolean({ description: 'false while the bar may still be added to before it is announced' }),
    revision: Type.Integer({ description: 'corrections since it was announced as closed' }),
  },
  { $id: 'Bar', description: 'open, high, low, close and volume of an interval' },
)

/** The answer names the schema; OpenAPI keeps it once, under components. */
const named = <T extends TSchema>(schema: T & { $id?: string }) =>
  Type.Unsafe<Static<T>>({ $ref: `${String(schema.$id)}#` })

const summary = {
  symbol: Type.String(),
  last: nullable(number('price of the last trade')),
  lastTime: nullable(time('of the last trade')),
  average: named(Average),
  minute: nullable(named(Bar)),
  day: nullable(named(Bar)),
}
export const SymbolSummary = Type.Object(summary, {
  $id: 'SymbolSummary',
  description: 'where a symbol stands: last price, running averages, newest minute, the day so far',
})

export const SymbolAnswer = Type.Object(
  { ...summary, source: named(Source) },
  { description: 'where the symbol stands' },
)

export const SymbolsAnswer = Type.Object(
  {
    symbols: Type.Array(named(SymbolSummary), { description: 'ascending by symbol' }),
    sources: Type.Array(named(Source), { description: 'who answered' }),
    next: Type.Optional(Type.String({ description: 'there are more: ask again with after=next' })),
    partial: Type.Optional(
      Type.Literal(true, { description: 'some partitions have no owner just now: symbols are missing' }),
    ),
  },
  { description: 'a page of symbols' },
)

export const AverageAnswer = Type.Object(
  {
    symbol: Type.String(),
    windowMs: nullable(Type.Integer({ description: 'null = all' })),
    count: Type.Integer({ description: 'trades in the window' }),
    volume: number('sum of volumes'),
    notional: number('sum of price * volume'),
    mean: nullable(number('sum of prices / count')),
    vwap: nullable(number('notional / volume')),
    priceVolumeMean: nullable(number('notional / count')),
    from: nullable(time('beginning of what was covered')),
    to: nullable(time('end of what was covered')),
    asOf: time('up to which the answer holds'),
    source: named(Source),
  },
  { description: 'the average' },
)

export const BarsAnswer = Type.Object(
  {
    symbol: Type.String(),
    interval: oneOf(INTERVALS),
    bars: Type.Array(named(Bar), { description: 'ascending by start; intervals without a trade have no bar' }),
    source: Type.Optional(named(Source)),
    partial: Type.Optional(
      Type.Literal(true, { description: 'no processor answered: what is newer than the history is missing' }),
    ),
  },
  { description: 'the bars' },
)

export const TradesAnswer = Type.Object(
  {
    symbol: Type.String(),
    trades: Type.Array(
      Type.Object({
        timestamp: time('of the trade'),
        seq: Type.String({ description: 'orders trades of one millisecond; a decimal above 2^53' }),
        price: Type.Number(),
        volume: Type.Number(),
        conditions: nullable(Type.Array(Type.String())),
      }),
    ),
  },
  { description: 'the trades' },
)

export const TopologyAnswer = Type.Object(
  {
    applicationId: Type.String(),
    epoch: nullable(Type.String({ description: 'tells one assignment from another; null while none is known' })),
    generation: Type.Integer({ description: 'of the consumer group; -1 while none is known' }),
    members: Type.Array(
      Type.Object({
        instance: Type.String(),
        endpoint: nullable(Type.String({ description: 'where its queries are answered; null = it told nobody' })),
        tasks: Type.Array(Type.String(), { description: 'what it processes' }),
        standbys: Type.Array(Type.String(), { description: 'whose state it keeps warm' }),
      }),
    ),
    tasks: Type.Array(
      Type.Object({
        task: Type.String({ description: 'sub-topology and partition' }),
        partition: Type.Integer(),
        active: nullable(Type.String({ description: 'who processes it; null = nobody just now' })),
        standbys: Type.Array(Type.String(), { description: 'who answers when the active one does not' }),
      }),
    ),
  },
  { description: 'the routing table as last read' },
)

export const TasksAnswer = Type.Object(
  {
    instances: Type.Array(
      Type.Object({
        instance: Type.String(),
        endpoint: nullable(Type.String()),
        tasks: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
        error: Type.Optional(Type.String({ description: 'why it did not answer' })),
      }),
    ),
  },
  { description: 'what each processor says' },
)

export const Health = Type.Object(
  { status: oneOf(['ok', 'failing']), reason: Type.Optional(Type.String()) },
  { $id: 'Health' },
)

export const COMPONENTS = [Problem, Source, Average, Bar, SymbolSummary, Health]

/** Documents an answer that is a problem. */
export const problemAnswer = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: named(Problem) } },
})
export const healthAnswer = (description: string) => ({
  description,
  content: { 'application/json': { schema: named(Health) } },
})
