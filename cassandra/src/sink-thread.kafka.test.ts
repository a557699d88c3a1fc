import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createLogger } from '@candlewick/service/logger'
import { tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { HistoryReader } from './reader.js'
import { startSinkWorker } from './sink-thread.js'
import { migratedKeyspace, recordingLog, type TestKeyspace } from './testing/keyspace.js'
import { FRIDAY, trade } from './testing/samples.js'

const topicPrefix = `cassandra-${randomBytes(4).toString('hex')}-`
const names = topicNames(topicPrefix)
const groupId = `${topicPrefix}sink`
const silent = createLogger('test', 'silent')
let target: TestKeyspace
let kafka: KafkaClient
let admin: KafkaAdmin

const kafkaConfig = () => ({ brokers: [inject('kafkaBrokers')], clientId: 'cassandra-test' })
const configFor = (prefix: string) => ({ kafka: kafkaConfig(), cassandra: target.config, groupId, topicPrefix: prefix })

beforeAll(async () => {
  target = await migratedKeyspace(inject('cassandra'))
  kafka = new KafkaClient(kafkaConfig(), recordingLog())
  await kafka.connect()
  admin = new KafkaAdmin(kafka)
  await admin.createTopics(topicSpecs({ partitions: 2, replicationFactor: 1, prefix: topicPrefix }))
  await kafka.watchTopics(Object.values(names))
})

afterAll(async () => {
  await admin.deleteGroup(groupId).catch(() => undefined)
  await admin.deleteTopics(Object.values(names))
  await kafka.close()
  await target.drop()
})

test('a sink in its thread fills the tables, shows its health and metrics here, and closes', async () => {
  const producer = new IdempotentProducer(kafka, { maxBufferedBytes: 1_000_000 })
  await producer.start()
  for (let index = 0; index < 100; index += 1) {
    producer.send(names.trades, null, Buffer.from('AAPL'), tradeCodec.encode(trade()), Date.now())
  }
  await producer.close()

  const registry = new Registry()
  const exits: unknown[] = []
  const worker = startSinkWorker(configFor(topicPrefix), silent, registry)
  worker.onExit((error) => exits.push(error))
  const reader = new HistoryReader(target.config)
  await reader.connect()
  try {
    const range = { fromMs: FRIDAY, toMs: FRIDAY, limit: 1_000 }
    await expect.poll(async () => (await reader.trades('AAPL', range)).length, { timeout: 30_000 }).toBe(100)
    expect(worker.health).toEqual({ kind: 'writing' })
    await expect
      .poll(() => registry.metrics(), { timeout: 10_000 })
      .toMatch(/^candlewick_sink_rows_total\{table="trades"\} 100$/m)
    expect(await registry.metrics()).toMatch(/^candlewick_sink_write_seconds_bucket\{.*le="0.001".*\} \d+$/m)
  } finally {
    await worker.close()
    await reader.close()
  }
  expect(worker.health).toEqual({ kind: 'closed' })
  expect(exits).toEqual([])
  expect(await registry.metrics()).not.toMatch(/^candlewick_sink_rows_total\{/m)
})

test('a thread that dies is told with its error, and does not take the process along', async () => {
  const unusable = { ...configFor(topicPrefix), kafka: { brokers: 'not a list' } as never }
  const worker = startSinkWorker(unusable, silent)
  const error = await new Promise<Error | undefined>((resolve) => {
    worker.onExit(resolve)
  })
  expect(error).toBeInstanceOf(Error)
  expect(worker.health).toEqual({ kind: 'stopped', reason: error?.message })
  await worker.close()
})
