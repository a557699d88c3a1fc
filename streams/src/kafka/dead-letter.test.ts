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

test('key and value stay as they came', () => {
  const [key, value] = [Buffer.from('AAPL'), Buffer.from([0, 1, 2])]
  expect(deadLetterRecord(letter, key, value)).toMatchObject({ key, value })
  expect(deadLetterRecord(letter, null, null)).toMatchObject({ key: null, value: null })
})

test('a record as large as a broker takes is cut to what it takes with the headers, and its sizes are told', () => {
  const about = { ...letter, message: '\u{1f56f}'.repeat(5_000) }
  const { key, value, headers } = deadLetterRecord(about, Buffer.alloc(900_000, 1), Buffer.alloc(1_000_000, 2))
  const texts = Object.fromEntries(headers.map((header) => [header.key, header.value?.toString()]))
  expect(texts).toMatchObject({
    '__streams.errors.original.key.bytes': '900000',
    '__streams.errors.original.value.bytes': '1000000',
  })
  const batch = new RecordAccumulator()
  expect(() => batch.append('trades.dlq', 0, key, value, 0, headers)).not.toThrow()
})
