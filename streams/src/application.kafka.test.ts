import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from './application.js'
import type { RestoreEvent } from './changelog/restore-progress.js'
import { KafkaAdmin } from './kafka/admin.js'
import { KafkaClient } from './kafka/client.js'
import type { KafkaLog } from './kafka/config.js'
import { GroupMember } from './kafka/group-member.js'
import { RecordAccumulator } from './kafka/records/encode.js'
import { codecsOf } from './kafka/testing/codecs-of.js'
import { valuesOf } from './kafka/testing/test-cluster.js'
import { TopicReader } from './kafka/topic-reader.js'
import { TransactionalProducer } from './kafka/transactional-producer.js'
import { utf8, type Serde } from './serde.js'
import { StreamsBuilder } from './topology/builder.js'
import { keyValueStore } from './topology/stores.js'

const PARTITIONS = 4
const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}
const log: KafkaLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

let brokers = ''
let run = ''
let directory = ''
let producer: Producer
let client: KafkaClient
const started: KafkaStreams[] = []

beforeAll(async () => {
  brokers = inject('kafkaBrokers')
  client = new KafkaClient({ brokers: [brokers], clientId: 'streams-test' }, log)
  await client.connect()
})

afterAll(() => client.close())

beforeEach(async () => {
  run = `streams-${randomUUID().slice(0, 8)}`
  directory = await mkdtemp(join(tmpdir(), 'candlewick-streams-'))
  producer = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  await new KafkaAdmin(client).createTopics(
    ['in', 'out', 'in.dlq'].map((name) => ({ name: `${run}-${name}`, partitions: PARTITIONS })),
  )
})

afterEach(async () => {
  await Promise.all([producer.disconnect(), ...started.splice(0).map((app) => app.close())])
  const names = ['in', 'out', 'in.dlq', 'sums-changelog'].map((name) => `${run}-${name}`)
  await new KafkaAdmin(client).deleteTopics(names)
  await rm(directory, { recursive: true, force: true })
})

const sums = keyValueStore('sums', { key: utf8, value: number })

/** Adds up numbers per key; publishes each sum. */
function createApp(instance: string, stateDir = instance, more: Partial<KafkaStreamsOptions> = {}): KafkaStreams {
  const builder = new StreamsBuilder()
  builder
    .stream(`${run}-in`, { key: utf8, value: number, deadLetterTopic: `${run}-in.dlq` })
    .filter((value) => Number.isFinite(value))
    .groupByKey()
    .aggregate(
      sums,
      () => 0,
      (sum, value) => sum + value,
    )
    .toStream()
    .to(`${run}-out`, { key: utf8, value: number })
  const app = new KafkaStreams(builder.build(), {
    applicationId: run,
    kafka: { brokers: [brokers], clientId: instance },
    stateDir: join(directory, stateDir),
    instanceId: instance,
    sessionTimeoutMs: 6_000,
    log,
    ...more,
  })
  started.push(app)
  return app
}

async function start(instance: string): Promise<KafkaStreams> {
  const app = createApp(instance)
  await app.start()
  return app
}

/** Sends 1 to each key so many times; returns what the sums must then be. */
const expected = new Map<string, number>()
beforeEach(() => expected.clear())

async function send(keys: number, each: number): Promise<void> {
  const messages = Array.from({ length: each }, () => Array.from({ length: keys }, (_, n) => `key ${n}`)).flat()
  await producer.send({ topic: `${run}-in`, messages: messages.map((key) => ({ key, value: '1' })) })
  for (const key of messages) expected.set(key, (expected.get(key) ?? 0) + 1)
}

/** The committed sums over all running instances; a key served by two is a failure. */
async function committed(): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const app of started) {
    for (const { view, source } of app.served()) {
      if (source().role !== 'active') continue
      for (const [key, sum] of await view.keyValue(sums).all()) {
        if (found.has(key)) throw new Error(`${key} is active twice`)
        found.set(key, sum)
      }
    }
  }
  return found
}

const sorted = (map: ReadonlyMap<string, number>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))

async function settled(): Promise<void> {
  await vi.waitFor(async () => expect(sorted(await committed())).toEqual(sorted(expected)), {
    timeout: 30_000,
    interval: 50,
  })
}

describe('an application', () => {
  it('counts every record exactly once while instances come and go', async () => {
    const first = await start('a')
    await send(20, 50)
    await settled()
    await start('b')
    await send(20, 50)
    await settled()
    await first.close()
    await send(20, 50)
    await start('c')
    await send(20, 50)
    await settled()
  })

  it('shares the partitions evenly between two instances', async () => {
    const [a, b] = [await start('a'), await start('b')]
    await vi.waitFor(
      () => {
        expect(a.tasks().filter(({ status }) => status === 'RUNNING')).toHaveLength(PARTITIONS / 2)
        expect(b.tasks().filter(({ status }) => status === 'RUNNING')).toHaveLength(PARTITIONS / 2)
      },
      { timeout: 20_000 },
    )
  })

  it('goes on from its own state after a clean restart: nothing is replayed', async () => {
    const first = await start('a')
    await send(10, 100)
    await settled()
    await first.close()
    started.splice(0)

    const lines: object[] = []
    const again = createApp('a')
    vi.spyOn(log, 'info').mockImplementation((fields) => void lines.push(fields))
    await again.start()
    await settled()
    expect(lines.find((line) => 'records' in line && 'ms' in line)).toMatchObject({ records: 0 })
    vi.restoreAllMocks()
    await send(10, 10)
    await settled()
  })

  it('restores from the changelogs where no state is left', async () => {
    const first = await start('a')
    await send(10, 100)
    await settled()
    await first.close()
    started.splice(0)
    await rm(join(directory, 'a'), { recursive: true })
    const again = createApp('a')
    const events: RestoreEvent[] = []
    again.onRestore((event) => events.push(event))
    await again.start()
    await settled()
    const ends = events.filter(({ kind }) => kind === 'completed')
    expect(ends.reduce((sum, { restored }) => sum + restored, 0)).toBeGreaterThanOrEqual(10)
    for (const { task } of ends) {
      const told = events.filter((event) => event.task === task)
      expect(told.map(({ kind }) => kind).join(' ')).toMatch(/^started( progress)+ completed$/)
      expect(told.at(-1)).toMatchObject({ remaining: 0, etaSeconds: 0 })
    }
    await send(10, 10)
    await settled()
  })

  it('begins at the beginning when nothing was ever committed, whatever an aborted transaction left in the changelog', async () => {
    const admin = new KafkaAdmin(client)
    const changelog = `${run}-sums-changelog`
    await admin.createTopics([{ name: changelog, partitions: PARTITIONS, config: { 'cleanup.policy': 'compact' } }])
    const dead = new TransactionalProducer(client, { transactionalId: `${run}-dead`, transactionTimeoutMs: 10_000 })
    await dead.init()
    const records = new RecordAccumulator()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      records.append(changelog, partition, Buffer.from('key 0'), Buffer.from('41'), Date.now())
    }
    await client.watchTopics([changelog])
    await dead.produce(records)
    await dead.end('abort')
    await send(5, 5)
    await start('a')
    await settled()
  })

  it('writes outputs and changelogs with the compression it is told, and reads both again', async () => {
    const first = createApp('a', 'a', { compression: 'zstd' })
    await first.start()
    await send(20, 20)
    await settled()
    await first.close()
    started.splice(0)
    for (const topic of [`${run}-out`, `${run}-sums-changelog`]) {
      const codecs = await Promise.all([0, 1, 2, 3].map((partition) => codecsOf(client, topic, partition)))
      expect(new Set(codecs.flatMap((some) => [...some]))).toEqual(new Set(['zstd']))
    }
    await rm(join(directory, 'a'), { recursive: true })
    await start('a')
    await settled()
  })

  it('puts aside what it cannot read, with where it came from, and goes on', async () => {
    await start('a')
    await producer.send({ topic: `${run}-in`, messages: [{ key: null, value: 'no key' }] })
    await send(5, 5)
    await settled()
    const ends = await new KafkaAdmin(client).listOffsets(`${run}-in.dlq`, [0, 1, 2, 3], 'latest', 'read_committed')
    expect([...ends.values()].reduce((sum, end) => sum + end, 0)).toBeGreaterThan(0)
  })

  /** Adds up numbers as createApp() does, but chokes on 666. */
  function createPoisonable(deadLetterTopic?: string): KafkaStreams {
    const builder = new StreamsBuilder()
    builder
      .stream(`${run}-in`, { key: utf8, value: number, ...(deadLetterTopic !== undefined && { deadLetterTopic }) })
      .groupByKey()
      .aggregate(
        sums,
        () => 0,
        (sum, value) => {
          if (value === 666) throw new Error('poison')
          return sum + value
        },
      )
    const app = new KafkaStreams(builder.build(), {
      applicationId: run,
      kafka: { brokers: [brokers], clientId: 'poisoned' },
      stateDir: join(directory, 'poisoned'),
      log,
    })
    started.push(app)
    return app
  }

  it('stops at a record that user code refuses again and again, although other partitions go on committing', async () => {
    const app = createPoisonable()
    const fatal = new Promise<Error>((resolve) => app.onFatal(resolve))
    let stopped = false
    void fatal.then(() => (stopped = true))
    await app.start()
    await producer.send({ topic: `${run}-in`, messages: [{ partition: 0, key: 'a', value: '666' }] })
    while (!stopped) await producer.send({ topic: `${run}-in`, messages: [{ partition: 1, key: 'b', value: '1' }] })
    await expect(fatal).resolves.toMatchObject({ code: 'PROCESSING', concerns: { partition: 0, offset: 0 } })
  })

  it('puts a record aside that user code refuses again and again, where there is a dead-letter topic, and goes on', async () => {
    await createPoisonable(`${run}-in.dlq`).start()
    const letter = Buffer.alloc(1_000_000, '0') // as long as the topic takes; not a number
    await producer.send({
      topic: `${run}-in`,
      messages: [
        { partition: 0, key: 'a', value: '1' },
        { partition: 0, key: 'a', value: '666' },
        { partition: 0, key: null, value: letter },
        { partition: 0, key: 'a', value: '2' },
      ],
    })
    await vi.waitFor(async () => expect(Object.fromEntries(await committed())).toEqual({ a: 3 }), { timeout: 20_000 })
    const letters = async () => {
      const ends = await new KafkaAdmin(client).listOffsets(`${run}-in.dlq`, [0, 1, 2, 3], 'latest', 'read_committed')
      return [...ends.values()].reduce((sum, end) => sum + end, 0)
    }
    // Two letters, and at least one marker of a transaction.
    await vi.waitFor(async () => expect(await letters()).toBeGreaterThanOrEqual(3), { timeout: 20_000 })
  })

  it('removes the state of tasks that have long been elsewhere, and keeps its own', async () => {
    const first = await start('a')
    await send(5, 5)
    await settled()
    await first.close()
    const tasks = join(directory, 'a', run, 'tasks')
    await mkdir(join(tasks, '7_0'))
    const longAgo = Date.now() / 1000 - 25 * 3_600
    for (const id of await readdir(tasks)) await utimes(join(tasks, id), longAgo, longAgo)
    await start('a')
    await send(5, 5)
    await settled()
    await vi.waitFor(async () => expect((await readdir(tasks)).sort()).toEqual(['0_0', '0_1', '0_2', '0_3']))
  })

  it.each(['joins', 'starts'])('that is closed while it %s has failed at nothing', async (doing) => {
    const metrics = new Registry()
    const app = createApp('a', 'a', { metrics })
    let member: GroupMember | undefined
    if (doing === 'joins') {
      // Another member keeps the group from coming together.
      member = new GroupMember(client, {
        groupId: run,
        topics: [`${run}-in`],
        assignor: { name: 'candlewick-streams', userData: () => Buffer.alloc(0), assign: async () => new Map() },
        sessionTimeoutMs: 6_000,
        rebalanceTimeoutMs: 60_000,
        heartbeatIntervalMs: 500,
        log,
      })
      await member.join()
    }
    await app.start()
    if (doing === 'joins') await vi.waitFor(() => expect(app.state).toBe('REBALANCING'), { timeout: 20_000 })
    await app.close()
    await member?.close()
    const rollbacks = (await metrics.metrics()).split('\n').filter((line) => /rollbacks_total\{.*\}/.test(line))
    expect(rollbacks.length).toBeGreaterThan(3)
    expect(rollbacks.filter((line) => !line.endsWith(' 0'))).toEqual([])
  })

  it('that is closed while a record fails commits nothing of what the failure left half done', async () => {
    const seen: string[] = []
    const build = (onBoom: () => void) => {
      const builder = new StreamsBuilder()
      builder
        .stream(`${run}-in`, { key: utf8, value: utf8 })
        .mapValues((value) => {
          if (value === 'boom') onBoom()
          return value
        })
        .to(`${run}-out`, { key: utf8, value: utf8 })
      const options = {
        applicationId: run,
        kafka: { brokers: [brokers], clientId: 'a' },
        stateDir: join(directory, 'stateless'),
        log,
      }
      const app = new KafkaStreams(builder.build(), { ...options, sessionTimeoutMs: 6_000 })
      started.push(app)
      return app
    }
    const messages = ['a', 'b', 'boom', 'c'].map((value) => ({ key: 'k', value }))
    await producer.send({ topic: `${run}-in`, messages })
    let closed: Promise<void> | undefined
    const first = build(() => {
      closed = first.close()
      throw new Error('boom')
    })
    await first.start()
    await vi.waitFor(() => expect(closed).toBeDefined(), { timeout: 20_000 })
    await closed
    await build(() => undefined).start()
    const reader = new TopicReader(client, {
      topics: [`${run}-out`],
      startAt: 'earliest',
      isolation: 'read_committed',
      log,
      onChunk: (chunk) => void seen.push(...valuesOf(chunk)),
    })
    await reader.start()
    await vi.waitFor(() => expect(seen).toContain('c'), { timeout: 20_000 })
    await reader.close()
    expect(seen).toEqual(['a', 'b', 'boom', 'c'])
  })

  it('refuses a second process on the same state directory', async () => {
    await start('a')
    const second = createApp('b', 'a')
    await expect(second.start()).rejects.toMatchObject({ code: 'LOCKED' })
  })

  it('says which topics are missing', async () => {
    const builder = new StreamsBuilder()
    builder.stream(`${run}-nowhere`, { key: utf8, value: number }).to(`${run}-out`, { key: utf8, value: number })
    const app = new KafkaStreams(builder.build(), {
      applicationId: `${run}-lost`,
      kafka: { brokers: [brokers], clientId: 'lost' },
      stateDir: join(directory, 'lost'),
      log,
    })
    started.push(app)
    const fatal = new Promise<Error>((resolve) => app.onFatal(resolve))
    await app.start()
    await expect(fatal).resolves.toMatchObject({ code: 'TOPICS', message: expect.stringContaining(`${run}-nowhere`) })
  })
})
