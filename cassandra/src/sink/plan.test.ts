import { averageCodec, barCodec, tradeCodec } from '@candlewick/schemas/codecs'
import { expect, test } from 'vitest'
import { DAY_MS } from '../buckets.js'
import { average, bar, FRIDAY, trade } from '../testing/samples.js'
import { MAX_ROWS_PER_WRITE, Planner, type Plan, type SinkTopic } from './plan.js'

/** Records as they lie in a chunk: one after the other in one buffer; null = no value. */
function plan(topic: SinkTopic, values: readonly (Buffer | null)[], partition = 3): Plan {
  const bytes = Buffer.concat(values.map((value) => value ?? Buffer.alloc(0)))
  const planner = new Planner(topic, partition)
  let at = 0
  values.forEach((value, offset) => {
    const valueStart = at
    at += value?.length ?? 0
    const valueEnd = value === null ? -1 : at
    planner.add({ offset, brokerTimeMs: FRIDAY + offset, bytes, keyStart: 0, keyEnd: -1, valueStart, valueEnd })
  })
  return planner.plan()
}

/** What is written, as `table: offsets of the records`, one entry per write. */
function shape({ writes }: Plan): string[] {
  return writes.map(({ table, rows }) => `${table}: ${rows.map(({ source }) => source.offset).join(' ')}`).sort()
}

test('every trade is written; those of one symbol and day together', () => {
  const trades = [trade(), trade({ symbol: 'MSFT' }), trade(), trade({ timestamp: FRIDAY + DAY_MS }), trade()]
  expect(shape(plan('trades', trades.map(tradeCodec.encode)))).toEqual(['trades: 0 2 4', 'trades: 1', 'trades: 3'])
})

test('a busy symbol is cut into writes of bounded size, by rows and by bytes', () => {
  const many = Array.from({ length: MAX_ROWS_PER_WRITE + 1 }, () => tradeCodec.encode(trade()))
  expect(
    plan('trades', many)
      .writes.map(({ rows }) => rows.length)
      .sort(),
  ).toEqual([1, MAX_ROWS_PER_WRITE])
  const large = tradeCodec.encode(trade({ conditions: ['x'.repeat(20_000)] }))
  expect(plan('trades', [large, large, large]).writes).toHaveLength(3)
})

test('only the last average of a symbol and slot is written, and only the newest to the list', () => {
  const times = [FRIDAY, FRIDAY + 4_999, FRIDAY + 5_000, FRIDAY + 5_001]
  const records = [...times.map((asOf) => average({ asOf })), average({ symbol: 'MSFT' })]
  expect(shape(plan('averages', records.map(averageCodec.encode)))).toEqual([
    'latest: 3 4',
    'running_averages: 1 3',
    'running_averages: 4',
  ])
})

test('only the last announcement of a bar is written', () => {
  const records = [
    bar({ closed: false }),
    bar({ closed: false, trades: 4 }),
    bar(),
    bar({ revision: 1 }),
    bar({ interval: '5m' }),
    bar({ start: FRIDAY + 60_000 }),
  ]
  expect(shape(plan('bars', records.map(barCodec.encode)))).toEqual(['bars: 3 5', 'bars: 4'])
})

test('what no table can hold is rejected by itself, with its error; the rest is written', () => {
  const values = [
    tradeCodec.encode(trade()),
    Buffer.from('not avro'),
    tradeCodec.encode(trade({ timestamp: 9e15 })),
    tradeCodec.encode(trade({ symbol: '' })),
    null,
    tradeCodec.encode(trade()),
  ]
  const made = plan('trades', values)
  expect(shape(made)).toEqual(['trades: 0 5'])
  expect(made.rejected.map(({ source, error }) => [source.offset, error.name])).toEqual([
    [1, 'CodecError'],
    [2, 'ValueOutOfRange'],
    [3, 'ValueOutOfRange'],
    [4, 'TypeError'],
  ])
  const unbearable = plan('averages', [averageCodec.encode(average({ asOf: 9e15 }))])
  expect([shape(unbearable), unbearable.rejected.length]).toEqual([[], 1])
})

test('a tombstone of a compacted topic is nothing to do', () => {
  expect(plan('averages', [null])).toEqual({ writes: [], rejected: [] })
  expect(plan('bars', [null])).toEqual({ writes: [], rejected: [] })
})
