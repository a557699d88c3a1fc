import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from './application.js'
import { KafkaAdmin } from './kafka/admin.js'
import type { KafkaClient } from './kafka/client.js'
import { TestCluster, until } from './kafka/testing/test-cluster.js'
import { utf8, type Serde } from './serde.js'
import { StreamsBuilder } from './topology/builder.js'
import { keyValueStore } from './topology/stores.js'

const PARTITIONS = 2
const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}

let cluster: TestCluster
let client: KafkaClient
let admin: KafkaAdmin
let input = ''
let id = ''
let directory = ''
let sent = 0
const apps: { app: KafkaStreams; failure: Promise<Error> }[] = []

beforeEach(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  client = cluster.client()
  await client.connect()
  admin = new KafkaAdmin(client)
  input = await cluster.topic(PARTITIONS)
  id = cluster.name('trust')
  directory = await mkdtemp(join(tmpdir(), 'candlewick-trust-'))
  sent = 0
})

afterEach(async () => {
  await Promise.all(apps.splice(0).map(({ app }) => app.close()))
  await admin.deleteTopics(['sums', 'counts'].map((store) => `${id}-${store}-changelog`))
  await cluster.close()
  await rm(directory, { recursive: true, force: true })
})

/** Adds up numbers per key in a store of this name. */
async function start(
  instance: string,
  { store = 'sums', ...options }: Partial<KafkaStreamsOptions> & { store?: string } = {},
) {
  const builder = new StreamsBuilder()
  const spec = keyValueStore(store, { key: utf8, value: number })
  builder
    .stream(input, { key: utf8, value: number })
    .groupByKey()
    .aggregate(
      spec,
      () => 0,
      (sum, value) => sum + value,
    )
  const app = new KafkaStreams(builder.build(), {
    applicationId: id,
    kafka: { brokers: cluster.brokers, clientId: instance },
    stateDir: join(directory, instance),
    instanceId: instance,
    sessionTimeoutMs: 6_000,
    log: cluster.log,
    ...options,
  })
  const failure = new Promise<Error>((told) => app.onFatal(told))
  apps.push({ app, failure })
  await app.start()
  const total = async () => {
    let sum = 0
    for (const { view, source } of app.served()) {
      if (source().role !== 'active') continue
      for (const [, value] of await view.keyValue(spec).all()) sum += value
    }
    return sum
  }
  return {
    app,
    failure,
    /** Resolves when everything that was sent is counted. */
    counted: () => until(async () => (await total()) === sent, `all of ${sent} are counted`),
  }
}

async function send(count: number): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await cluster.sendKeyed(
      input,
      partition,
      Array.from({ length: count }, () => [`key ${partition}`, '1']),
    )
  }
  sent += count * PARTITIONS
}

async function ranOnce(options: Parameters<typeof start>[1] = {}): Promise<void> {
  const { app, counted } = await start('a', options)
  await send(10)
  await counted()
  await app.close()
}

describe('what no longer belongs together is told, never computed on', () => {
  it('a changelog that was deleted and made anew', async () => {
    await ranOnce()
    await admin.deleteTopics([`${id}-sums-changelog`])
    await until(async () => (await admin.describeTopics([`${id}-sums-changelog`])).length === 0, 'it is gone')
    const { failure } = await start('a')
    expect(await failure).toMatchObject({ code: 'CHANGELOG_LOST', message: expect.stringMatching(/streams reset/) })
  })

  it('a changelog with another number of partitions than its input', async () => {
    await admin.createTopics([{ name: `${id}-sums-changelog`, partitions: 1 }])
    const { failure } = await start('a')
    expect(await failure).toMatchObject({ code: 'TOPICS', message: expect.stringMatching(/has 1 partitions.*has 2/) })
  })

  it('a changelog that Kafka would delete from: with what it is told to set, the application starts', async () => {
    await admin.createTopics([{ name: `${id}-sums-changelog`, partitions: PARTITIONS }])
    const { app, failure } = await start('a')
    expect(await failure).toMatchObject({
      code: 'TOPICS',
      message: expect.stringMatching(/Set cleanup\.policy=compact/) as string,
    })
    await app.close()
    await cluster.configure(`${id}-sums-changelog`, { 'cleanup.policy': 'compact' })
    await ranOnce()
  })

  it('an input topic that has grown since it ran last', async () => {
    await ranOnce()
    await cluster.grow(input, PARTITIONS + 1)
    const { failure } = await start('a')
    expect(await failure).toMatchObject({ code: 'TOPICS', message: expect.stringMatching(/streams reset/) })
  })

  it('an input topic that grows while it runs', async () => {
    const { counted, failure } = await start('a', { metadataMaxAgeMs: 50 })
    await send(10)
    await counted()
    await cluster.grow(input, PARTITIONS + 1)
    expect(await failure).toMatchObject({
      code: 'TOPICS',
      message: expect.stringMatching(/had 2 partitions and has 3/),
    })
  })

  it('an application id that was used by another topology', async () => {
    await ranOnce({ store: 'counts' })
    const { failure } = await start('b')
    expect(await failure).toMatchObject({ code: 'TOPICS', message: expect.stringMatching(/another topology.*counts/) })
  })

  it('a process of another topology under the same application id: it gets no tasks, and says why', async () => {
    const { counted } = await start('a')
    const { app: stranger } = await start('b', { store: 'counts' })
    await until(() => cluster.log.lines.some(({ message }) => /another topology/.test(message)), 'it is told')
    await send(10)
    await counted()
    expect(stranger.tasks()).toEqual([])
  })
})

describe('offsets that the group has lost', () => {
  it('are known from the state: nothing is counted twice', async () => {
    await ranOnce()
    await admin.deleteGroup(id)
    const { counted } = await start('a')
    await send(5)
    await counted()
  })

  it('are known from the changelogs where no state is left either', async () => {
    await ranOnce()
    await admin.deleteGroup(id)
    await rm(join(directory, 'a'), { recursive: true })
    const { counted } = await start('a')
    await send(5)
    await counted()
  })
})
