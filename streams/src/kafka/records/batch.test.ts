import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isKafkaError } from '../errors.js'
import { advanceSequence, RecordBatchBuilder, stampBatch } from './batch.js'
import { COMPRESSIONS } from './compression.js'
import { crc32c } from './crc32c.js'
import { RecordAccumulator } from './encode.js'
import { batchOf, recordsOf, type PlainRecord } from './rebuild.js'

const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value))
const records = fc.array(
  fc.record<PlainRecord>({
    key: fc.option(bytes),
    value: fc.option(bytes),
    timestampMs: fc.integer({ min: -1, max: 2 ** 51 }),
    headers: fc.array(
      fc.record({
        key: fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => Buffer.from(text).toString() === text),
        value: fc.option(bytes),
      }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 200 },
)

describe('a record batch', () => {
  it.each(COMPRESSIONS)('gives back what was put in, compression %s', (compression) => {
    fc.assert(
      fc.property(records, (plain) => {
        expect(recordsOf(batchOf(plain, compression))).toEqual(plain)
      }),
      { numRuns: 60 },
    )
  })

  it('has Kafka’s layout, byte by byte', () => {
    const builder = new RecordBatchBuilder(1000, 'none')
    builder.append(Buffer.from('k'), Buffer.from('val'), 1000, [{ key: 'h', value: null }])
    builder.append(null, null, 997, [])
    const batch = builder.seal()
    stampBatch(batch, { producerId: 258n, producerEpoch: 3, sequence: 7, transactional: true })
    const recordBytes = '1a 00 00 00 02 6b 06 76 61 6c 02 02 68 01' + '0c 00 05 02 01 01 00'
    const header =
      '0000000000000000' + // baseOffset
      '00000046' + // batchLength
      'ffffffff' + // partitionLeaderEpoch
      '02' // magic
    const checked =
      '0010' + // attributes: transactional
      '00000001' + // lastOffsetDelta
      '00000000000003e8' + // baseTimestamp
      '00000000000003e8' + // maxTimestamp
      '0000000000000102' + // producerId
      '0003' + // producerEpoch
      '00000007' + // baseSequence
      '00000002' + // records
      recordBytes.replaceAll(' ', '')
    const crc = crc32c(Buffer.from(checked, 'hex')).toString(16).padStart(8, '0')
    expect(batch.bytes.toString('hex')).toBe(header + crc + checked)
  })

  it('can be stamped again, and the checksum follows', () => {
    const batch = batchOf([{ key: null, value: Buffer.from('x'), timestampMs: 5, headers: [] }], 'zstd')
    for (const sequence of [0, 2 ** 31 - 1, 9]) {
      stampBatch(batch, { producerId: 2n ** 40n, producerEpoch: 32767, sequence, transactional: false })
      expect(batch.bytes.readInt32BE(53)).toBe(sequence)
      expect(batch.bytes.readUInt32BE(17)).toBe(crc32c(batch.bytes, 21))
      expect(recordsOf(batch)).toHaveLength(1)
    }
  })

  it('refuses times that are none', () => {
    const builder = new RecordBatchBuilder(1000, 'none')
    for (const time of [NaN, Infinity, 1.5, -2, 2 ** 52]) {
      expect(() => builder.append(null, null, time, [])).toThrow(/INVALID_TIMESTAMP/)
    }
    expect(builder.recordCount).toBe(0)
  })
})

it('computes CRC-32C (RFC 3720, B.4)', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Buffer.concat([Buffer.from('xx'), Buffer.from('123456789'), Buffer.from('y')]), 2, 11)).toBe(0xe3069283)
})

it('wraps sequence numbers at 2^31', () => {
  expect(advanceSequence(0, 5)).toBe(5)
  expect(advanceSequence(2 ** 31 - 1, 1)).toBe(0)
  expect(advanceSequence(2 ** 31 - 3, 10)).toBe(7)
})

describe('the accumulator', () => {
  it('keeps every batch within the limit, and the order of each partition', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 300 })), { maxLength: 300 }),
        fc.integer({ min: 400, max: 2000 }),
        (items, maxBatchBytes) => {
          const accumulator = new RecordAccumulator({ maxBatchBytes })
          const given: number[][] = [[], [], []]
          items.forEach(([partition, size], index) => {
            const key = Buffer.alloc(4)
            key.writeInt32BE(index)
            accumulator.append('t', partition, key, Buffer.alloc(size), 1000 + index)
            given[partition]!.push(index)
          })
          expect(accumulator.recordCount).toBe(items.length)
          const sealed = accumulator.seal()
          const found: number[][] = [[], [], []]
          for (const { partition, batches } of sealed) {
            for (const batch of batches) {
              expect(batch.bytes.length).toBeLessThanOrEqual(maxBatchBytes)
              found[partition]!.push(...recordsOf(batch).map(({ key }) => key!.readInt32BE()))
            }
          }
          expect(found).toEqual(given)
          const partitions = given.flatMap((records, partition) => (records.length > 0 ? [partition] : []))
          expect([...(accumulator.partitions.get('t') ?? [])].sort()).toEqual(partitions)
        },
      ),
    )
  })

  it('fills a batch to the last byte', () => {
    const builder = new RecordBatchBuilder(61 + 2 * 17, 'none')
    expect(builder.append(null, Buffer.alloc(10), 1, [])).toBe(17)
    expect(builder.append(null, Buffer.alloc(10), 1, [])).toBe(17)
    expect(builder.append(null, null, 1, [])).toBe(0)
    expect(builder.sizeBytes).toBe(61 + 34)
  })

  it('refuses one record over the limit and goes on with the others', () => {
    const accumulator = new RecordAccumulator({ maxBatchBytes: 500 })
    accumulator.append('t', 0, null, Buffer.alloc(100), 1)
    let refusal: unknown
    try {
      accumulator.append('t', 0, null, Buffer.alloc(500), 1)
    } catch (error) {
      refusal = error
    }
    expect(isKafkaError(refusal, 'MESSAGE_TOO_LARGE')).toBe(true)
    accumulator.append('t', 0, null, Buffer.alloc(100), 1)
    expect(accumulator.recordCount).toBe(2)
    expect(accumulator.seal().flatMap(({ batches }) => batches.flatMap(recordsOf))).toHaveLength(2)
  })

  it('is empty after clear()', () => {
    const accumulator = new RecordAccumulator()
    accumulator.append('t', 0, null, Buffer.alloc(100), 1)
    expect(accumulator.sizeBytes).toBeGreaterThan(100)
    accumulator.clear()
    expect([accumulator.recordCount, accumulator.sizeBytes, accumulator.partitions.size]).toEqual([0, 0, 0])
    expect(accumulator.seal()).toEqual([])
  })
})
