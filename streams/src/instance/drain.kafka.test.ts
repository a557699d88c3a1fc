import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { KafkaStreams } from '../application.js'
import { onFailpoint, type Failpoint } from '../failpoints.js'
import { KafkaAdmin } from '../kafka/admin.js'
import { TestCluster, until } from '../kafka/testing/test-cluster.js'
import { utf8 } from '../serde.js'
import { number, sums } from '../testing/counting-store.js'
import { StreamsBuilder } from '../topology/builder.js'

const PARTITIONS = 2
const REBALANCE_TIMEOUT_MS = 8_000

let cluster: TestCluster
let input: string
let id: string
let directory: string
const apps: KafkaStreams[] = []

beforeEach(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  input = await cluster.topic(PARTITIONS)
  id = cluster.name('drain')
  directory = await mkdtemp(join(tmpdir(), 'candlewick-drain-'))
})

afterEach(async () => {
  onFailpoint(undefined)
  await Promise.all(apps.splice(0).map((app) => app.close()))
  const client = cluster.client()
  await client.connect()
  await new KafkaAdmin(client).deleteTopics([`${id}-sums-changelog`])
  await cluster.close()
  await rm(directory, { recursive: true, force: true })
})

/** Adds up numbers; tells of each one it adds. */
async function start(instance: string, added: () => void): Promise<KafkaStreams> {
  const builder = new StreamsBuilder()
  const add = (sum: number, value: number) => (added(), sum + value)
  const source = builder.stream(input, { key: utf8, value: number })
  source.groupByKey().aggregate(sums, () => 0, add)
  const app = new KafkaStreams(builder.build(), {
    applicationId: id,
    kafka: { brokers: cluster.brokers, clientId: instance },
    stateDir: join(directory, instance),
    instanceId: instance,
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
    log: cluster.log,
  })
  apps.push(app)
  await app.start()
  return app
}

async function send(): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await cluster.sendKeyed(input, partition, [[`key ${partition}`, '1']])
  }
}

/** Of all keys, where an active answers for them. */
async function total(): Promise<number> {
  const values = await Promise.all(
    apps
      .flatMap((app) => [...app.served()])
      .filter(({ source }) => source().role === 'active')
      .map(({ view }) => view.keyValue(sums).all()),
  )
  return values.flat().reduce((sum, [, value]) => sum + value, 0)
}

/**
 * Another process joins while a commit is under way and records were processed after it was begun.
 * @param holdMs for how long that commit takes from when the other process joins
 * @returns the failpoints that the first process came by from then on until it joined again
 */
async function rebalanceDuringCommit(holdMs: number): Promise<Failpoint[]> {
  let added = 0
  await start('a', () => void added++)
  await send()
  await until(async () => (await total()) === PARTITIONS, 'all are counted')

  const passed: Failpoint[] = []
  let release = () => undefined as void
  const released = new Promise<void>((resolve) => (release = resolve))
  let isHeld = false
  onFailpoint(async (name) => {
    passed.push(name)
    if (name !== 'commit.produced' || isHeld) return
    isHeld = true
    await released
  })
  await send()
  await until(() => isHeld && added === 2 * PARTITIONS, 'a commit is under way')
  await send()
  await until(() => added === 3 * PARTITIONS, 'and more is processed')

  passed.length = 0
  const joinedAtMs = performance.now()
  await start('b', () => undefined)
  await until(() => performance.now() - joinedAtMs >= holdMs, 'the commit has taken its time')
  release()
  await until(() => passed.includes('rebalance.joined'), 'it joins again')
  // Whatever was dropped is processed again by whoever has it now.
  await until(async () => (await total()) === 3 * PARTITIONS, 'all are counted, none of them twice')
  return passed.slice(0, passed.indexOf('rebalance.drained') + 1)
}

it('before it joins again, a process commits all that it has processed', async () => {
  expect((await rebalanceDuringCommit(0)).filter((name) => name === 'commit.ended')).toHaveLength(2)
})

it('with half of the time gone that the group waits for it, it begins no other commit: the rest is processed again', async () => {
  const passed = await rebalanceDuringCommit(REBALANCE_TIMEOUT_MS / 2 + 1_500)
  expect(passed).toContain('commit.ended')
  expect(passed).not.toContain('commit.frozen')
})
