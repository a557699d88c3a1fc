import { expect, test } from 'vitest'
import { deadLetterRecord, readDeadLetter, type DeadLetter } from './dead-letter.js'
import { RecordAccumulator } from './records/encode.js'

const letter: DeadLetter = {
  exception: 'TRUNCATED',
  message: 'trade: the record ends too early',
  timeMs: 1_700_000_000_000,
  record: { topic: 'trades', partition: 3, offset: 42 },
}

const deadLetterHeaders = (about: DeadLetter) => deadLetterRecord(about, null, null).headers

test('a dead letter names its error and where it was read as Kafka Streams does (KIP-1034)', () => {
  const headers = Object.fromEntries(deadLetterHeaders(letter).map(({ key, value }) => [key, value?.toString()]))
  expect(headers).toEqual({
    '__streams.errors.exception': 'TRUNCATED',
    '__streams.errors.message': 'trade: the record ends too early',
    '__streams.errors.topic': 'trades',
    '__streams.errors.partition': '3',
    '__streams.errors.offset': '42',
    '__streams.errors.time': '1700000000000',
  })
})

test('what was written is read back, with and without a record', () => {
  const { record: _, ...frame } = letter
  expect(readDeadLetter(deadLetterHeaders(letter))).toEqual(letter)
  expect(readDeadLetter(deadLetterHeaders(frame))).toEqual(frame)
  expect(readDeadLetter([{ key: 'trace', value: null }])).toBeUndefined()
})

test('a long message is cut, so that the headers have a bound', () => {
  const read = readDeadLetter(deadLetterHeaders({ ...letter, message: 'x'.repeat(5_000_000) }))
  expect(read?.message).toHaveLength(1000)
})

test('the stack goes along where there is one, cut like the message', () => {
  const withStack = { ...letter, stacktrace: 'Error: x\n    at fold (app.js:1:1)' }
  expect(readDeadLetter(deadLetterHeaders(withStack))).toEqual(withStack)
  expect(readDeadLetter(deadLetterHeaders({ ...letter, stacktrace: 'x'.repeat(100_000) }))?.stacktrace).toHaveLength(
    4000,
  )
})

test('the headers of the record go along; those of an earlier failure do not', () => {
  const original = [
    { key: 'traceparent', value: Buffer.from('00-1-2-01') },
    { key: '__streams.errors.message', value: Buffer.from('an older one') },
    { key: 'empty', value: null },
  ]
  const { headers } = deadLetterRecord(letter, null, null, original)
  expect(headers.slice(0, 2)).toEqual([original[0], original[2]])
  expect(headers.filter(({ key }) => key === '__streams.errors.message')).toHaveLength(1)
  expect(readDeadLetter(headers)).toEqual(letter)
})

test('key and value stay as they came', () => {
  const [key, value] = [Buffer.from('AAPL'), Buffer.from([0, 1, 2])]
  expect(deadLetterRecord(letter, key, value)).toMatchObject({ key, value })
  expect(deadLetterRecord(letter, null, null)).toMatchObject({ key: null, value: null })
})

test('a record as large as a broker takes is cut to what it takes with the headers, and its sizes are told', () => {
  const about = { ...letter, message: '\u{1f56f}'.repeat(5_000) }
  const stacktrace = '\u{1f56f}'.repeat(50_000)
  const original = Array.from({ length: 9 }, (_, n) => ({ key: `header ${n}`, value: Buffer.alloc(10_000) }))
  const [large, larger] = [Buffer.alloc(900_000, 1), Buffer.alloc(1_000_000, 2)]
  const { key, value, headers } = deadLetterRecord({ ...about, stacktrace }, large, larger, original)
  const texts = Object.fromEntries(headers.map((header) => [header.key, header.value?.toString()]))
  expect(texts).toMatchObject({
    '__streams.errors.original.key.bytes': '900000',
    '__streams.errors.original.value.bytes': '1000000',
    '__streams.errors.original.headers.bytes': String(9 * 10_016),
  })
  const batch = new RecordAccumulator()
  expect(() => batch.append('trades.dlq', 0, key, value, 0, headers)).not.toThrow()
})
