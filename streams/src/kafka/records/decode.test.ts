import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from './crc32c.js'
import { peekNextOffset, readHeaders, visitRecords } from './decode.js'
import type { FetchedChunk, IsolationLevel, RecordVisitor } from './decode.js'

interface TestRecord {
  offsetDelta: number
  key: string | Buffer | null
  value: string | null
  timestampDelta?: number
  headers?: [string, string | null][]
}

interface TestBatch {
  baseOffset: number
  /** Defaults to the last record's delta; larger after compaction. */
  lastOffsetDelta?: number
  attributes?: number
  producerId?: bigint
  baseTimestampMs?: number
  maxTimestampMs?: number
  records: TestRecord[]
}

const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/** Written by the specification alone, so that it shares no mistake with the code under test. */
function varint(value: number): Buffer {
  let rest = value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n
  const bytes: number[] = []
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function sized(bytes: string | Buffer | null): Buffer {
  if (bytes === null) return varint(-1)
  const body = Buffer.from(bytes)
  return Buffer.concat([varint(body.length), body])
}

function encodeRecord(record: TestRecord): Buffer {
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(record.timestampDelta ?? 0),
    varint(record.offsetDelta),
    sized(record.key),
    sized(record.value),
    varint(headers.length),
    ...headers.map(([key, value]) => Buffer.concat([sized(key), sized(value)])),
  ])
  return Buffer.concat([varint(body.length), body])
}

function sign(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

function encodeBatch(batch: TestBatch): Buffer {
  const attributes = batch.attributes ?? 0
  const plain = Buffer.concat(batch.records.map(encodeRecord))
  const records = (attributes & 7) === 1 ? gzipSync(plain) : plain
  const header = Buffer.alloc(61)
  header.writeBigInt64BE(BigInt(batch.baseOffset), 0)
  header.writeInt32BE(49 + records.length, 8)
  header.writeInt8(2, 16)
  header.writeInt16BE(attributes, 21)
  header.writeInt32BE(batch.lastOffsetDelta ?? batch.records.at(-1)?.offsetDelta ?? 0, 23)
  header.writeBigInt64BE(BigInt(batch.baseTimestampMs ?? 1000), 27)
  header.writeBigInt64BE(BigInt(batch.maxTimestampMs ?? 1000), 35)
  header.writeBigInt64BE(batch.producerId ?? -1n, 43)
  header.writeInt32BE(batch.records.length, 57)
  return sign(Buffer.concat([header, records]))
}

function data(baseOffset: number, producerId: bigint, ...values: string[]): Buffer {
  const records = values.map((value, offsetDelta) => ({ offsetDelta, key: null, value }))
  return encodeBatch({ baseOffset, producerId, attributes: TRANSACTIONAL, records })
}

function marker(baseOffset: number, producerId: bigint, type: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  const records = [{ offsetDelta: 0, key, value: '' }]
  return encodeBatch({ baseOffset, producerId, attributes: TRANSACTIONAL | CONTROL, records })
}

function chunkOf(batches: Buffer[], more: Partial<FetchedChunk> = {}): FetchedChunk {
  const watermarks = { highWatermark: 100, lastStableOffset: 100, logStartOffset: 0 }
  const records = Buffer.concat(batches)
  return { topic: 'trades', partition: 3, fetchOffset: 0, records, aborted: null, ...watermarks, ...more }
}

interface Seen {
  offset: number
  timestampMs: number
  key: string | null
  value: string | null
  headers: [string, string | null][]
}

function read(chunk: FetchedChunk, isolation: IsolationLevel = 'read_committed'): { next: number; seen: Seen[] } {
  const seen: Seen[] = []
  const next = visitRecords(chunk, isolation, (offset, timestampMs, bytes, keyStart, keyEnd, start, end, headersAt) => {
    const headers = readHeaders(bytes, headersAt).map(({ key, value }): [string, string | null] => [
      key,
      value?.toString() ?? null,
    ])
    const key = keyEnd < keyStart ? null : bytes.toString('utf8', keyStart, keyEnd)
    const value = end < start ? null : bytes.toString('utf8', start, end)
    seen.push({ offset, timestampMs, key, value, headers })
  })
  expect(peekNextOffset(chunk)).toBe(next)
  return { next, seen }
}

function valuesOf(chunk: FetchedChunk, isolation?: IsolationLevel): (string | null)[] {
  return read(chunk, isolation).seen.map(({ value }) => value)
}

describe('records', () => {
  test('keys, values, headers, offsets and timestamps come through, null and empty told apart', () => {
    const batch = encodeBatch({
      baseOffset: 5_000_000_000,
      baseTimestampMs: 1_700_000_000_000,
      records: [
        {
          offsetDelta: 0,
          key: 'AAPL',
          value: 'one',
          timestampDelta: 5,
          headers: [
            ['a', 'x'],
            ['b', null],
          ],
        },
        { offsetDelta: 1, key: null, value: null, timestampDelta: -3 },
        { offsetDelta: 9, key: '', value: '', timestampDelta: 50_000_000_000 },
      ],
    })
    const { next, seen } = read(chunkOf([batch], { fetchOffset: 5_000_000_000 }))
    expect(next).toBe(5_000_000_010)
    expect(seen).toEqual([
      {
        offset: 5_000_000_000,
        timestampMs: 1_700_000_000_005,
        key: 'AAPL',
        value: 'one',
        headers: [
          ['a', 'x'],
          ['b', null],
        ],
      },
      { offset: 5_000_000_001, timestampMs: 1_699_999_999_997, key: null, value: null, headers: [] },
      { offset: 5_000_000_009, timestampMs: 1_750_000_000_000, key: '', value: '', headers: [] },
    ])
  })

  test('long keys and values, whose lengths need several bytes', () => {
    const value = 'v'.repeat(70_000)
    const batch = encodeBatch({ baseOffset: 0, records: [{ offsetDelta: 0, key: 'k'.repeat(300), value }] })
    expect(read(chunkOf([batch])).seen[0]).toMatchObject({ key: 'k'.repeat(300), value })
  })

  test('records before the fetch offset are passed over: a broker sends whole batches', () => {
    const records = [0, 1, 2, 3].map((offsetDelta) => ({ offsetDelta, key: null, value: `${offsetDelta}` }))
    const chunk = chunkOf([encodeBatch({ baseOffset: 10, records })], { fetchOffset: 12 })
    expect(read(chunk)).toMatchObject({ next: 14, seen: [{ offset: 12 }, { offset: 13 }] })
  })

  test('LogAppendTime gives every record the time of the broker', () => {
    const records = [{ offsetDelta: 0, key: null, value: 'a', timestampDelta: 7 }]
    const batch = encodeBatch({ baseOffset: 0, attributes: 0x08, baseTimestampMs: 5, maxTimestampMs: 777, records })
    expect(read(chunkOf([batch])).seen[0]?.timestampMs).toBe(777)
  })

  test('a batch that is cut off at the end is left for the next fetch', () => {
    const whole = data(0, -1n, 'a', 'b')
    const cut = data(2, -1n, 'c', 'd')
    for (let kept = 0; kept < cut.length; kept++) {
      expect(read(chunkOf([whole, cut.subarray(0, kept)]))).toMatchObject({
        next: 2,
        seen: [{ value: 'a' }, { value: 'b' }],
      })
    }
  })

  test('no records at all leave the position where it was', () => {
    expect(read(chunkOf([], { records: null, fetchOffset: 7 }))).toEqual({ next: 7, seen: [] })
    expect(read(chunkOf([], { fetchOffset: 7 }))).toEqual({ next: 7, seen: [] })
  })

  test('gzip is inflated, headers included', () => {
    const records = [{ offsetDelta: 0, key: 'k', value: 'v'.repeat(1000), headers: [['h', '1']] as [string, string][] }]
    const batch = encodeBatch({ baseOffset: 0, attributes: 1, records })
    expect(read(chunkOf([batch])).seen[0]).toMatchObject({ key: 'k', value: 'v'.repeat(1000), headers: [['h', '1']] })
  })

  test('a codec that Kafka does not have is refused by its number', () => {
    const records = [{ offsetDelta: 0, key: null, value: 'x' }]
    const batch = encodeBatch({ baseOffset: 8, attributes: 6, records })
    const names = { name: 'UNSUPPORTED_COMPRESSION_TYPE', concerns: { topic: 'trades', partition: 3 } }
    expect(() => read(chunkOf([batch]))).toThrow(expect.objectContaining(names))
    expect(() => read(chunkOf([batch]))).toThrow('offset 8 is compressed with codec number 6')
  })
})

describe('progress without records', () => {
  test('an empty batch that compaction left behind moves the reader past its last offset', () => {
    const empty = encodeBatch({ baseOffset: 40, lastOffsetDelta: 9, records: [] })
    expect(read(chunkOf([empty], { fetchOffset: 40 }))).toEqual({ next: 50, seen: [] })
  })

  test('offsets compacted away at the end of a batch count as read', () => {
    const batch = encodeBatch({
      baseOffset: 0,
      lastOffsetDelta: 99,
      records: [{ offsetDelta: 4, key: 'k', value: 'v' }],
    })
    expect(read(chunkOf([batch])).next).toBe(100)
  })

  test('control batches are not shown under either isolation level, and count as read', () => {
    const chunk = chunkOf([marker(0, 7n, 'commit'), marker(1, 7n, 'abort')])
    expect(read(chunk)).toEqual({ next: 2, seen: [] })
    expect(read(chunk, 'read_uncommitted')).toEqual({ next: 2, seen: [] })
  })
})

describe('aborted transactions', () => {
  test('are hidden up to their marker, and the same producer is read again after it', () => {
    const batches = [data(0, 7n, 'aborted'), marker(1, 7n, 'abort'), data(2, 7n, 'committed'), marker(3, 7n, 'commit')]
    const chunk = chunkOf(batches, { aborted: [{ producerId: 7n, firstOffset: 0 }] })
    expect(valuesOf(chunk)).toEqual(['committed'])
    expect(valuesOf(chunk, 'read_uncommitted')).toEqual(['aborted', 'committed'])
  })

  test('interleaved with committed ones of other producers', () => {
    const batches = [
      data(0, 1n, 'a1'),
      data(1, 2n, 'b1'),
      data(2, 3n, 'c1'),
      data(3, 1n, 'a2'),
      marker(4, 1n, 'abort'),
      data(5, 2n, 'b2'),
      data(6, 1n, 'a3'),
      marker(7, 3n, 'commit'),
      marker(8, 2n, 'abort'),
      data(9, 2n, 'b3'),
      marker(10, 1n, 'commit'),
      marker(11, 2n, 'commit'),
    ]
    const aborted = [
      { producerId: 2n, firstOffset: 1 },
      { producerId: 1n, firstOffset: 0 },
    ]
    expect(valuesOf(chunkOf(batches, { aborted }))).toEqual(['c1', 'a3', 'b3'])
  })

  test('several of one producer, listed in any order, each end at their own marker', () => {
    const batches = [
      data(0, 1n, 'x'),
      marker(1, 1n, 'abort'),
      data(2, 1n, 'y'),
      marker(3, 1n, 'commit'),
      data(4, 1n, 'z'),
    ]
    const aborted = [
      { producerId: 1n, firstOffset: 4 },
      { producerId: 1n, firstOffset: 0 },
    ]
    expect(valuesOf(chunkOf(batches, { aborted }))).toEqual(['y'])
  })

  test('a reader that resumes in the middle hides the rest: the first offset may lie before the chunk', () => {
    const chunk = chunkOf([data(50, 1n, 'rest'), marker(51, 1n, 'abort'), data(52, 1n, 'next')], {
      fetchOffset: 50,
      aborted: [{ producerId: 1n, firstOffset: 20 }],
    })
    expect(valuesOf(chunk)).toEqual(['next'])
  })

  test('records outside transactions are always shown, also of a producer whose transaction aborted', () => {
    const plain = encodeBatch({
      baseOffset: 1,
      producerId: 1n,
      records: [{ offsetDelta: 0, key: null, value: 'plain' }],
    })
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    expect(valuesOf(chunkOf([data(0, 1n, 'hidden'), plain], { aborted }))).toEqual(['plain'])
  })

  test('only an ABORT marker ends an aborted transaction, a COMMIT marker does not', () => {
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    expect(valuesOf(chunkOf([data(0, 1n, 'a'), marker(1, 1n, 'commit'), data(2, 1n, 'b')], { aborted }))).toEqual([])
  })

  test('a marker whose record compaction removed does not end the transaction', () => {
    const empty = encodeBatch({ baseOffset: 1, producerId: 1n, attributes: TRANSACTIONAL | CONTROL, records: [] })
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    expect(valuesOf(chunkOf([data(0, 1n, 'a'), empty, data(2, 1n, 'b')], { aborted }))).toEqual([])
  })
})

describe('bytes that are not what they should be', () => {
  const corruptBatch = { name: 'INVALID_ANSWER', kind: 'fatal', concerns: { topic: 'trades', partition: 3 } }

  test('one flipped bit anywhere under the checksum is found before a record is shown', () => {
    const batch = data(0, -1n, 'a', 'b')
    for (let at = 21; at < batch.length; at++) {
      const flipped = Buffer.from(batch)
      flipped[at] = flipped[at]! ^ 4
      expect(() => visitRecords(chunkOf([flipped]), 'read_committed', () => expect.unreachable())).toThrow(
        expect.objectContaining(corruptBatch),
      )
    }
  })

  test.each([
    ['a last offset before the first', 23, -2],
    ['a record count below nothing', 57, -1],
    ['a length shorter than its own header', 8, 48],
    ['an offset that is no safe integer', 0, 0x7fffffff],
  ])('%s', (_what, at, value) => {
    const batch = encodeBatch({ baseOffset: 9, records: [{ offsetDelta: 0, key: null, value: 'x' }] })
    batch.writeInt32BE(value, at)
    expect(() => read(chunkOf([sign(batch)]))).toThrow(expect.objectContaining(corruptBatch))
  })

  test('a length that leads nowhere is refused by the header walk too', () => {
    for (const length of [-12, 0, 48]) {
      const batch = data(0, -1n, 'a')
      batch.writeInt32BE(length, 8)
      expect(() => peekNextOffset(chunkOf([batch]))).toThrow(expect.objectContaining(corruptBatch))
    }
  })

  test('an old message format is refused, not misread', () => {
    const old = data(0, -1n, 'a')
    old[16] = 1
    expect(() => read(chunkOf([old]))).toThrow('v1')
  })

  test('gzip that does not inflate', () => {
    const batch = encodeBatch({ baseOffset: 0, attributes: 1, records: [{ offsetDelta: 0, key: null, value: 'x' }] })
    batch.fill(0, 61)
    expect(() => read(chunkOf([sign(batch)]))).toThrow(expect.objectContaining(corruptBatch))
  })

  test('random bytes, and mutated batches with a right checksum, never hang and never show bytes outside the chunk', () => {
    const original = Buffer.concat([
      encodeBatch({
        baseOffset: 3,
        records: [0, 1, 2].map((offsetDelta) => ({
          offsetDelta,
          key: 'key',
          value: 'v'.repeat(20),
          headers: [['h', 'x']],
        })),
      }),
    ])
    const mutation = fc.tuple(fc.nat(original.length - 1), fc.nat(255))
    const mutated = fc.array(mutation, { minLength: 1, maxLength: 6 }).map((changes) => {
      const bytes = Buffer.from(original)
      for (const [at, value] of changes) bytes[at] = value
      bytes.writeInt32BE(bytes.length - 12, 8)
      bytes[16] = 2
      return sign(bytes)
    })
    const random = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
    let shown = 0
    let refused = 0
    const outside: unknown[] = []
    const check: RecordVisitor = (offset, _timestampMs, bytes, keyStart, keyEnd, start, end, headersAt) => {
      shown++
      const inside = Math.max(keyStart, keyEnd, start, end, headersAt) <= bytes.length
      const ordered = (keyEnd === -1 || keyEnd >= keyStart) && (end === -1 || end >= start)
      if (!inside || !ordered) outside.push({ offset, keyStart, keyEnd, start, end, headersAt })
      try {
        readHeaders(bytes, headersAt)
      } catch (error) {
        if ((error as Error).name !== 'INVALID_ANSWER') throw error
      }
    }
    const property = (records: Buffer) => {
      const chunk = chunkOf([records], { aborted: [{ producerId: -1n, firstOffset: 0 }] })
      try {
        if (visitRecords(chunk, 'read_committed', check) < chunk.fetchOffset) outside.push('went back')
      } catch (error) {
        refused++
        if (!['INVALID_ANSWER', 'UNSUPPORTED_COMPRESSION_TYPE'].includes((error as Error).name)) throw error
      }
    }
    fc.assert(fc.property(random, property), { numRuns: 1500 })
    fc.assert(fc.property(mutated, property), { numRuns: 3000 })
    expect(outside).toEqual([])
    expect(shown).toBeGreaterThan(500)
    expect(refused).toBeGreaterThan(500)
  })
})
