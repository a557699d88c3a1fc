import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { KafkaClient } from './client.js'
import { TestCluster, until, valuesOf } from './testing/test-cluster.js'
import { TopicReader, type TopicReaderOptions } from './topic-reader.js'

let cluster: TestCluster
let client: KafkaClient
const readers: TopicReader[] = []

beforeAll(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  client = cluster.client()
  await client.connect()
})
afterEach(async () => {
  await Promise.all(readers.splice(0).map((reader) => reader.close()))
})
afterAll(() => cluster.close())

function readerOf(
  topics: string[],
  options: Partial<TopicReaderOptions> = {},
): { reader: TopicReader; values: string[] } {
  const values: string[] = []
  const reader = new TopicReader(client, {
    topics,
    startAt: 'earliest',
    isolation: 'read_committed',
    onChunk: (chunk) => void values.push(...valuesOf(chunk)),
    log: cluster.log,
    ...options,
  })
  readers.push(reader)
  return { reader, values }
}

test('caughtUp() resolves when everything there was at the call was handed over', async () => {
  const topics = [await cluster.topic(2), await cluster.topic(1), await cluster.topic(1)]
  await cluster.send(topics[0]!, 0, ['a', 'b'])
  await cluster.send(topics[0]!, 1, ['c'])
  await cluster.send(topics[1]!, 0, ['d'])
  const { reader, values } = readerOf(topics)
  await reader.start()
  await reader.caughtUp()
  expect(values.sort()).toEqual(['a', 'b', 'c', 'd'])
})

test('an aborted transaction at the end does not keep caughtUp() waiting, and is not shown', async () => {
  const topic = await cluster.topic(1)
  await cluster.send(topic, 0, ['a'])
  const producer = await cluster.transactionalProducer()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ value: 'aborted', partition: 0 }] })
  await transaction.abort()
  const { reader, values } = readerOf([topic])
  await reader.caughtUp()
  expect(values).toEqual(['a'])
})

test('from `latest` it shows what is written after start(), and nothing before', async () => {
  const topic = await cluster.topic(2)
  await cluster.send(topic, 0, ['old'])
  const { reader, values } = readerOf([topic], { startAt: 'latest' })
  await reader.start()
  await cluster.send(topic, 0, ['new0'])
  await cluster.send(topic, 1, ['new1'])
  await reader.caughtUp()
  expect(values.sort()).toEqual(['new0', 'new1'])
})

test('broken connections are healed: everything comes, in order and once', async () => {
  const topic = await cluster.topic(1)
  const { reader, values } = readerOf([topic])
  await reader.start()
  const expected: string[] = []
  for (let round = 0; round < 5; round++) {
    cluster.cutConnections()
    await cluster.send(topic, 0, [`a${round}`, `b${round}`])
    expected.push(`a${round}`, `b${round}`)
    await until(() => values.length === expected.length, 'it came')
  }
  expect(values).toEqual(expected)
})

test('records deleted before they were read do not stop it', async () => {
  const topic = await cluster.topic(1)
  await cluster.send(topic, 0, ['a', 'b', 'c'])
  let release!: () => void
  const held = new Promise<void>((resolve) => (release = resolve))
  const values: string[] = []
  const { reader } = readerOf([topic], {
    maxBufferedBytes: 1,
    onChunk: async (chunk) => {
      values.push(...valuesOf(chunk))
      await held
    },
  })
  await reader.start()
  await until(() => values.length === 3, 'it reads')
  // More than its buffer takes, so that the end is not prefetched when the log loses it.
  for (let i = 0; i < 10; i++) await cluster.send(topic, 0, ['x'.repeat(20_000)])
  await cluster.deleteRecords(topic, 0, 13)
  release()
  await cluster.send(topic, 0, ['after'])
  await until(() => values.at(-1) === 'after', 'it goes on')
})

test('an onChunk that throws is logged, and reading goes on', async () => {
  const topic = await cluster.topic(1)
  const seen: string[] = []
  const onChunk: TopicReaderOptions['onChunk'] = (chunk) => {
    seen.push(...valuesOf(chunk))
    if (seen.includes('bad') && seen.length === 1) throw new Error('bad chunk')
  }
  const { reader } = readerOf([topic], { onChunk })
  await reader.start()
  await cluster.send(topic, 0, ['bad'])
  await reader.caughtUp()
  await cluster.send(topic, 0, ['good'])
  await until(() => seen.includes('good'), 'the next one came')
  expect(cluster.log.count('a chunk could not be taken in, reading on')).toBe(1)
})

test('close() ends a caughtUp() that waits', async () => {
  const topic = await cluster.topic(1)
  await cluster.send(topic, 0, ['a'])
  const { reader } = readerOf([topic], { onChunk: () => new Promise((resolve) => setTimeout(resolve, 50)) })
  const waiting = reader.caughtUp()
  await reader.start()
  await reader.close()
  await waiting
})
