import { averageCodec, barCodec, tradeCodec } from '@candlewick/schemas/codecs'
import { expect, test } from 'vitest'
import { DAY_MS } from '../buckets.js'
import { average, bar, FRIDAY, trade } from '../testing/samples.js'
import { MAX_ROWS_PER_WRITE, Planner, type Plan, type SinkTopic } from './plan.js'

const APPENDED = FRIDAY + 2 * DAY_MS

/** Records as they lie in a chunk, key and value one after the other in one buffer; null = no value. */
function plan(topic: SinkTopic, values: readonly (Buffer | null)[], partition = 3): Plan {
  const keys = values.map((value) => Buffer.from(topic === 'trades' ? symbolOf(value) : 'AAPL'))
  const bytes = Buffer.concat(values.flatMap((value, i) => [keys[i]!, value ?? Buffer.alloc(0)]))
  const planner = new Planner(topic, partition)
  let keyStart = 0
  values.forEach((value, offset) => {
    const keyEnd = keyStart + keys[offset]!.length
    const valueEnd = value === null ? -1 : keyEnd + value.length
    planner.add({ offset, brokerTimeMs: APPENDED, bytes, keyStart, keyEnd, valueStart: keyEnd, valueEnd })
    keyStart = keyEnd + (value?.length ?? 0)
  })
  return planner.plan()
}

function symbolOf(trade: Buffer | null): string {
  try {
    return tradeCodec.decode(trade!).symbol
  } catch {
    return 'AAPL'
  }
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
  const large = tradeCodec.encode(trade({ conditions: new Array<string>(100).fill('x'.repeat(64)) }))
  expect(plan('trades', new Array<Buffer>(10).fill(large)).writes).toHaveLength(3)
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
    [2, 'InvalidTradeError'],
    [3, 'InvalidTradeError'],
    [4, 'TypeError'],
  ])
  const unbearable = plan('averages', [averageCodec.encode(average({ asOf: 9e15 }))])
  expect([shape(unbearable), unbearable.rejected.length]).toEqual([[], 1])
})

test('a tombstone of a compacted topic is nothing to do', () => {
  expect(plan('averages', [null])).toEqual({ writes: [], rejected: [] })
  expect(plan('bars', [null])).toEqual({ writes: [], rejected: [] })
})
