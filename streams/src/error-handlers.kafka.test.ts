import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { KafkaStreams } from './application.js'
import { KafkaAdmin } from './kafka/admin.js'
import { IdempotentProducer } from './kafka/idempotent-producer.js'
import type { RecordHeader } from './kafka/records/encode.js'
import { RealKafka } from './kafka/testing/real-kafka.js'
import { until } from './kafka/testing/test-cluster.js'
import type { ErrorHandlers } from './processing/error-handlers.js'
import { utf8, type Serde } from './serde.js'
import { StreamsBuilder } from './topology/builder.js'
import { keyValueStore } from './topology/stores.js'

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}
const text = { key: utf8, value: utf8 }
const counts = keyValueStore('counts', { key: utf8, value: number })
const texts = keyValueStore('texts', text)
const silent = () => undefined

let kafka: RealKafka
let directory = ''
let producer: IdempotentProducer
let app: KafkaStreams | undefined
let applicationId = ''
let topics: { in: string; out: string; dlq: string }

beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
  directory = await mkdtemp(join(tmpdir(), 'candlewick-handlers-'))
  topics = {
    in: await kafka.topic(1),
    out: await kafka.topic(1, { 'max.message.bytes': '2000' }),
    dlq: await kafka.topic(1),
  }
  applicationId = kafka.name('handlers')
  producer = new IdempotentProducer(kafka.client, { maxBufferedBytes: 1 << 20 })
  await producer.start()
})

afterEach(async () => {
  const changelogs = [counts, texts].map(({ name }) => `${applicationId}-${name}-changelog`)
  await app?.close()
  await producer.close()
  await new KafkaAdmin(kafka.client).deleteTopics(changelogs)
  await kafka.close()
  await rm(directory, { recursive: true, force: true })
  app = undefined
})

/** Counts the records of each key, then keeps the last text, choking on `poison`; and passes each text on. */
async function start(handlers: ErrorHandlers, { deadLetterTopic }: { deadLetterTopic?: string } = {}) {
  const builder = new StreamsBuilder()
  const input = builder.stream(topics.in, { ...text, ...(deadLetterTopic !== undefined && { deadLetterTopic }) })
  input.groupByKey().aggregate(
    counts,
    () => 0,
    (count) => count + 1,
  )
  input.groupByKey().aggregate(
    texts,
    () => '',
    (_, value) => {
      if (value === 'poison') throw new Error('poison')
      return value
    },
  )
  input.to(topics.out, text)
  const registry = new Registry()
  app = new KafkaStreams(builder.build(), {
    applicationId,
    kafka: { brokers: inject('kafkaBrokers').split(','), clientId: 'handlers' },
    stateDir: directory,
    sessionTimeoutMs: 6_000,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: registry,
    ...handlers,
  })
  const fatal = new Promise<Error>((resolve) => app!.onFatal(resolve))
  await app.start()
  return { registry, fatal }
}

async function send(values: readonly string[], headers: RecordHeader[] = []): Promise<void> {
  for (const value of values) producer.send(topics.in, 0, Buffer.from('k'), Buffer.from(value), Date.now(), headers)
  await producer.flush()
}

/** The committed count and the last text of the only key. */
async function stored(): Promise<[number | undefined, string | undefined]> {
  const view = app!.served()[0]?.view
  return [await view?.keyValue(counts).get('k'), await view?.keyValue(texts).get('k')]
}

async function counted(count: number): Promise<void> {
  await until(async () => (await stored())[0] === count, `${count} records are counted`)
}

describe('a record that makes the topology throw', () => {
  it('is left out of every store and output, also of what had taken it before it failed', async () => {
    const { registry } = await start({ onProcessingError: 'continue' })
    await send(['a', 'poison', 'b', 'poison', 'c'])
    await counted(3)
    expect(await stored()).toEqual([3, 'c'])
    await until(async () => (await kafka.values(topics.out, 0)).length === 3, 'the others are passed on')
    expect(await kafka.values(topics.out, 0)).toEqual(['a', 'b', 'c'])
    expect(await registry.metrics()).toMatch(/dropped_records_total\{stage="processing",topic="[^"]*"\} 2/)
  })
})

describe('a record that the broker does not take', () => {
  it('is put aside in the same transaction with the headers it had, and nothing is processed twice for it', async () => {
    const { registry } = await start({}, { deadLetterTopic: topics.dlq })
    const large = 'x'.repeat(3_000)
    await send(['a', large, 'b'], [{ key: 'traceparent', value: Buffer.from('00-1-2-01') }])
    await counted(3)
    await until(async () => (await kafka.values(topics.dlq, 0)).length > 0, 'it is put aside')
    expect(await kafka.values(topics.dlq, 0)).toEqual([large])
    expect(await kafka.values(topics.out, 0)).toEqual(['a', 'b'])
    const told = await registry.metrics()
    expect(told).toMatch(/dead_letters_total\{stage="production",topic="[^"]*"\} 1/)
    expect(told).toMatch(/rollbacks_total\{cause="kafka"\} 0/)
  })

  it('stops the application where there is no place for it, which says where it was to go', async () => {
    const { fatal } = await start({})
    await send(['x'.repeat(3_000)])
    await expect(fatal).resolves.toMatchObject({
      code: 'PRODUCTION',
      concerns: { node: `sink ${topics.out}` },
      cause: { name: 'MESSAGE_TOO_LARGE' },
    })
  })

  it('stops the application when it is the change of a store: the state could not be restored without it', async () => {
    const changelog = `${applicationId}-texts-changelog`
    const config = { 'cleanup.policy': 'compact', 'max.message.bytes': '500' }
    await new KafkaAdmin(kafka.client).createTopics([{ name: changelog, partitions: 1, config }])
    const { fatal } = await start({ onProductionError: 'continue', onProcessingError: 'continue' })
    await send(['x'.repeat(1_000)])
    await expect(fatal).resolves.toMatchObject({ code: 'PRODUCTION', concerns: { store: 'texts', topic: changelog } })
  })
})
