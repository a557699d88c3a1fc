import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { averageCodec, barCodec, CodecError, createCodec, tradeCodec, type CodecErrorCode } from './codecs.js'
import type { RecordSchema } from './schema-files.js'
import type { Average, Bar, Trade } from './types.js'

const trade: Trade = {
  symbol: 'BINANCE:BTCUSDT',
  price: 93_112.37,
  volume: 0.00042,
  timestamp: 1_700_000_000_123,
  receivedAt: 1_700_000_000_155,
  source: 'finnhub',
  conditions: ['1', '12'],
}

const double = fc.double({ noNaN: true })
const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
const text = fc.string({ unit: 'binary', maxLength: 60 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })

const trades: fc.Arbitrary<Trade> = fc.record({
  symbol: text,
  price: double,
  volume: double,
  timestamp: time,
  receivedAt: time,
  source: text,
  conditions: maybe(fc.array(text)),
})

const averages: fc.Arbitrary<Average> = fc.record({
  symbol: text,
  count: fc.maxSafeNat().map((count) => Math.min(count, 2 ** 53 - 2)),
  volume: double,
  notional: double,
  mean: maybe(double),
  vwap: maybe(double),
  priceVolumeMean: maybe(double),
  min: maybe(double),
  max: maybe(double),
  first: maybe(double),
  firstTime: maybe(time),
  last: maybe(double),
  lastTime: maybe(time),
  asOf: time,
})

const bars: fc.Arbitrary<Bar> = fc.record({
  symbol: text,
  interval: fc.constantFrom('1m', '5m', '15m', '1h', '1d'),
  start: time,
  open: double,
  high: double,
  low: double,
  close: double,
  volume: double,
  notional: double,
  vwap: maybe(double),
  trades: fc.nat(),
  closed: fc.boolean(),
  revision: fc.nat(),
})

function codeOf(run: () => unknown): CodecErrorCode | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof CodecError) return error.code
    throw error
  }
}

describe('what is encoded is decoded, to the bit', () => {
  test('trades', () => {
    fc.assert(
      fc.property(trades, (value) => {
        expect(tradeCodec.decode(tradeCodec.encode(value))).toEqual(value)
      }),
    )
  })
  test('averages', () => {
    fc.assert(
      fc.property(averages, (value) => {
        expect(averageCodec.decode(averageCodec.encode(value))).toEqual(value)
      }),
    )
  })
  test('bars', () => {
    fc.assert(
      fc.property(bars, (value) => {
        expect(barCodec.decode(barCodec.encode(value))).toEqual(value)
      }),
    )
  })
  test('a record larger than the buffer it is written to', () => {
    const value = { ...trade, symbol: 'S'.repeat(100_000), conditions: Array.from({ length: 9_000 }, String) }
    expect(tradeCodec.decode(tradeCodec.encode(value))).toEqual(value)
  })
})

describe('the wire', () => {
  test('a record starts with 0 and the schema id, as Confluent has it', () => {
    expect(tradeCodec.encode(trade).subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 0, 1]))
  })

  test('a record is read in place, whatever stands around it', () => {
    fc.assert(
      fc.property(trades, fc.uint8Array(), fc.uint8Array(), (value, before, after) => {
        const record = tradeCodec.encode(value)
        const chunk = Buffer.concat([before, record, after])
        expect(tradeCodec.decode(chunk, before.length, before.length + record.length)).toEqual(value)
      }),
    )
  })

  test('a record that ends too early is an error, even when bytes of another follow', () => {
    const record = tradeCodec.encode(trade)
    const chunk = Buffer.concat([record, record])
    for (let length = 0; length < record.length; length++) {
      expect(codeOf(() => tradeCodec.decode(record, 0, length))).toBe('TRUNCATED')
      expect(codeOf(() => tradeCodec.decode(chunk, 0, length))).toBe('TRUNCATED')
      expect(codeOf(() => tradeCodec.decode(Buffer.from(record.subarray(0, length))))).toBe('TRUNCATED')
    }
  })

  test('bytes after the record are an error', () => {
    const record = tradeCodec.encode(trade)
    expect(codeOf(() => tradeCodec.decode(Buffer.concat([record, Buffer.from([0])])))).toBe('TRAILING_BYTES')
  })

  test('what does not start with 0 is not Avro', () => {
    expect(codeOf(() => tradeCodec.decode(Buffer.from('{"s":"AAPL","p":190.12}')))).toBe('NOT_AVRO')
  })

  test('an unknown schema id is named, and so are the known ones', () => {
    const record = tradeCodec.encode(trade)
    record.writeInt32BE(4711, 1)
    expect(() => tradeCodec.decode(record)).toThrow('trade: unknown schema id 4711 (known: 1)')
    expect(codeOf(() => tradeCodec.decode(record))).toBe('UNKNOWN_SCHEMA')
  })

  test('no damaged bytes crash or hang the decoder, or make it allocate without bound', () => {
    const record = tradeCodec.encode(trade)
    const damage = fc.array(
      fc.tuple(fc.integer({ min: 5, max: record.length - 1 }), fc.integer({ min: 0, max: 255 })),
      {
        minLength: 1,
        maxLength: 8,
      },
    )
    fc.assert(
      fc.property(damage, (places) => {
        const damaged = Buffer.from(record)
        for (const [at, byte] of places) damaged[at] = byte
        codeOf(() => tradeCodec.decode(damaged))
      }),
      { numRuns: 2000 },
    )
  })

  test('a damaged count of conditions is not believed', () => {
    const record = tradeCodec.encode(trade)
    const conditionsAt = record.lastIndexOf(Buffer.from([0x02, 0x04, 0x02])) // branch 1, 2 items, 1 byte
    const damaged = Buffer.concat([
      record.subarray(0, conditionsAt + 1),
      Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0x3f]),
      record.subarray(conditionsAt + 2),
    ])
    expect(codeOf(() => tradeCodec.decode(damaged))).toBe('TRUNCATED')
  })
})

describe('values a schema cannot hold are refused', () => {
  test('when written', () => {
    expect(codeOf(() => tradeCodec.encode({ ...trade, price: null as unknown as number }))).toBe('INVALID_VALUE')
    expect(codeOf(() => tradeCodec.encode({ ...trade, timestamp: 2 ** 60 }))).toBe('INVALID_VALUE')
  })
  test('an interval that does not exist, written or read', () => {
    const bar = fc.sample(bars, 1)[0]!
    expect(codeOf(() => barCodec.encode({ ...bar, interval: '2m' as '1m' }))).toBe('INVALID_VALUE')
    const bytes = barCodec.encode({ ...bar, symbol: 'A', interval: '1m' })
    bytes.write('2', bytes.indexOf('1m'))
    expect(codeOf(() => barCodec.decode(bytes))).toBe('MALFORMED')
  })
})

test('equal symbols are decoded to the same string, and unequal ones of the same length never', () => {
  fc.assert(
    fc.property(fc.array(text), (symbols) => {
      const records = symbols.map((symbol) => tradeCodec.encode({ ...trade, symbol }))
      for (let round = 0; round < 2; round++) {
        expect(records.map((record) => tradeCodec.decode(record).symbol)).toEqual(symbols)
      }
    }),
  )
})

describe('a reader of today reads what an earlier schema wrote', () => {
  const schema = (fields: { name: string; type: unknown; default?: unknown }[]): RecordSchema => ({
    type: 'record',
    name: 'Trade',
    namespace: 'io.candlewick',
    doc: 'A contract in two versions.',
    fields: fields.map((field) => ({ doc: field.name, ...field })),
  })
  const yesterday = schema([
    { name: 'symbol', type: 'string' },
    { name: 'size', type: 'long' },
    { name: 'gone', type: { type: 'array', items: 'string' } },
    { name: 'price', type: 'double' },
  ])
  const today = schema([
    { name: 'symbol', type: 'string' },
    { name: 'price', type: 'double' },
    { name: 'size', type: 'double' },
    { name: 'venue', type: ['null', 'string'], default: null },
  ])
  const written = createCodec('trade', yesterday, 8).encode({ symbol: 'AAPL', size: 5, gone: ['x'], price: 1.5 })

  test('fields added, dropped, moved and widened', async () => {
    const reader = createCodec('trade', today, 9)
    await reader.prepare(async () => [
      { id: 8, definition: yesterday },
      { id: 9, definition: today },
    ])
    expect(reader.decode(written)).toEqual({ symbol: 'AAPL', price: 1.5, size: 5, venue: null })
    expect(codeOf(() => reader.decode(written, 0, written.length - 1))).toBe('TRUNCATED')
  })

  test('before prepare() the earlier id is unknown', () => {
    expect(() => createCodec('trade', today, 9).decode(written)).toThrow('unknown schema id 8 (known: 9)')
  })

  test('a schema that today’s cannot be read from is refused by prepare(), before any record', async () => {
    const other = schema([{ name: 'symbol', type: 'int' }])
    const reader = createCodec('trade', today, 9)
    await expect(reader.prepare(async () => [{ id: 8, definition: other }])).rejects.toThrow()
  })
})
