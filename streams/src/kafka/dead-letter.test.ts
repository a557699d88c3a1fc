import { expect, test } from 'vitest'
import { deadLetterHeaders, readDeadLetter, type DeadLetter } from './dead-letter.js'

const letter: DeadLetter = {
  exception: 'TRUNCATED',
  message: 'trade: the record ends too early',
  timeMs: 1_700_000_000_000,
  record: { topic: 'trades', partition: 3, offset: 42 },
}

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
