import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WireReader } from './reader.js'
import { WireWriter } from './writer.js'

function written(write: (writer: WireWriter) => void): WireReader {
  const writer = new WireWriter(1)
  write(writer)
  return new WireReader(Buffer.from(writer.bytes))
}

const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((text) => Buffer.from(text).toString() === text)
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value))

describe('what the writer writes the reader reads', () => {
  it('for whole numbers of every size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -128, max: 127 }),
        fc.integer({ min: -32768, max: 32767 }),
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.maxSafeInteger(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (int8, int16, int32, int64, bigInt64, unsigned) => {
          const reader = written((w) =>
            w
              .int8(int8)
              .int16(int16)
              .int32(int32)
              .int64(int64)
              .bigInt64(bigInt64)
              .unsignedVarint(unsigned)
              .varint(int32),
          )
          expect(reader.int8()).toBe(int8)
          expect(reader.int16()).toBe(int16)
          expect(reader.int32()).toBe(int32)
          expect(reader.int64()).toBe(int64)
          expect(reader.bigInt64()).toBe(bigInt64)
          expect(reader.unsignedVarint()).toBe(unsigned)
          expect(reader.varint()).toBe(int32)
          expect(reader.remaining).toBe(0)
        },
      ),
    )
  })

  it('for texts, bytes and their nulls, plain and compact', () => {
    fc.assert(
      fc.property(fc.option(text), fc.option(bytes), (string, blob) => {
        const reader = written((w) => w.string(string).compactString(string).nullableBytes(blob).compactBytes(blob))
        expect(reader.nullableString()).toBe(string)
        expect(reader.compactNullableString()).toBe(string)
        expect(reader.nullableBytes()).toEqual(blob)
        expect(reader.compactNullableBytes()).toEqual(blob)
        expect(reader.remaining).toBe(0)
      }),
    )
  })

  it('for arrays, also over the growth of the buffer', () => {
    fc.assert(
      fc.property(fc.array(text), (items) => {
        const reader = written((w) =>
          w
            .array(items, (item) => w.string(item))
            .compactArray(items, (item) => w.compactString(item))
            .boolean(true),
        )
        expect(reader.array(() => reader.string())).toEqual(items)
        expect(reader.compactArray(() => reader.compactString())).toEqual(items)
        expect(reader.boolean()).toBe(true)
      }),
    )
  })

  it('for topic ids, in hexadecimal and in Kafka’s own text form', () => {
    const uuid = 'cae316d4-8de1-47f2-af09-a3bd3a44de05'
    const kafka = Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url')
    const reader = written((w) => w.uuid(uuid).uuid(kafka))
    expect(reader.uuid()).toBe(uuid)
    expect(reader.uuid()).toBe(uuid)
    expect(() => new WireWriter().uuid('nonsense')).toThrow(RangeError)
  })
})

describe('the reader', () => {
  it('skips tagged fields it does not know', () => {
    const reader = written((w) => {
      w.unsignedVarint(2)
        .unsignedVarint(0)
        .compactBytes(null)
        .unsignedVarint(5)
        .unsignedVarint(3)
        .raw(Buffer.from('abc'))
      w.int32(42)
    })
    reader.tags()
    expect(reader.int32()).toBe(42)
  })

  it('refuses an INT64 that a number cannot hold', () => {
    const beyond = written((w) => w.bigInt64(2n ** 53n + 1n))
    expect(() => beyond.int64()).toThrow(RangeError)
    expect(written((w) => w.bigInt64(2n ** 53n - 1n)).int64()).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('throws instead of making values up when the answer is cut off anywhere', () => {
    const writer = new WireWriter()
    writer.int64(7).compactString('symbol').nullableBytes(Buffer.from('value')).string('topic').unsignedVarint(300)
    const whole = Buffer.from(writer.bytes)
    const readAll = (bytes: Buffer) => {
      const reader = new WireReader(bytes)
      return [reader.int64(), reader.compactString(), reader.nullableBytes(), reader.string(), reader.unsignedVarint()]
    }
    expect(readAll(whole)).toEqual([7, 'symbol', Buffer.from('value'), 'topic', 300])
    for (let length = 0; length < whole.length; length++) {
      expect(() => readAll(whole.subarray(0, length))).toThrow(RangeError)
    }
  })
})
