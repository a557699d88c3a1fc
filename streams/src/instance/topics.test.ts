import { describe, expect, it } from 'vitest'
import type { KafkaAdmin, TopicSpec } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import { KafkaError } from '../kafka/errors.js'
import { utf8 } from '../serde.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { checkInputsUnchanged, prepareTopics } from './topics.js'

const both = { key: utf8, value: utf8 }
const builder = new StreamsBuilder()
builder
  .stream('trades', both)
  .groupByKey()
  .aggregate(
    keyValueStore('last', both),
    () => '',
    (_, value) => value,
  )
  .toStream()
  .to('out', both)
builder.stream('orders', both).to('copies', { ...both, deadLetterTopic: 'dead' })
const topology = builder.build()

const WHOLE = { trades: 2, orders: 3, out: 5, copies: 5, dead: 1 }

const FIT = { 'cleanup.policy': 'compact', 'delete.retention.ms': '86400000' }

/** A cluster with these topics and partitions, and these settings of the changelog. */
function clusterOf(topics: Record<string, number>, config: Record<string, string> | Error = FIT) {
  const created: TopicSpec[] = []
  const watched: string[] = []
  const describeTopics = async (names: readonly string[]) =>
    names.flatMap((name) => (topics[name] === undefined ? [] : [{ name, topicId: 'id', partitions: topics[name] }]))
  const createTopics = async (specs: readonly TopicSpec[]) => (created.push(...specs), [])
  const watchTopics = async (names: readonly string[]) => void watched.push(...names)
  const topicConfigs = async (names: readonly string[]) => {
    if (config instanceof Error) throw config
    return new Map(names.map((name) => [name, new Map(Object.entries(config))]))
  }
  const warned: string[] = []
  const log = { warn: (_: object, message: string) => void warned.push(message) }
  const admin = { describeTopics, createTopics, topicConfigs } as Partial<KafkaAdmin> as KafkaAdmin
  const client = { watchTopics, log } as Partial<KafkaClient> as KafkaClient
  return { admin, created, watched, warned, prepare: () => prepareTopics({ client, admin }, 'app', topology, 3) }
}

describe('before an application starts', () => {
  it('its changelogs are made with the partitions of its inputs, and there is one task for each', async () => {
    const { prepare, created, watched } = clusterOf(WHOLE)
    const plan = await prepare()
    expect(plan.map(({ id, topics }) => `${id}: ${topics.join()}`)).toEqual([
      ...['0_0: trades', '0_1: trades'],
      ...['1_0: orders', '1_1: orders', '1_2: orders'],
    ])
    expect(created).toMatchObject([{ name: 'app-last-changelog', partitions: 2, replicationFactor: 3 }])
    expect(watched.sort()).toEqual([...Object.keys(WHOLE), 'app-last-changelog'].sort())
  })

  it.each([
    ['a topic is missing, of those it writes too', { ...WHOLE, out: undefined, dead: undefined }, /out, dead/],
    ['a changelog has other partitions than its input', { ...WHOLE, 'app-last-changelog': 4 }, /has 4 .* has 2/],
  ])('it is stopped, and nothing was made, when %s', async (_, topics, message) => {
    const { prepare, created } = clusterOf(topics as Record<string, number>)
    await expect(prepare()).rejects.toMatchObject({ code: 'TOPICS', message: expect.stringMatching(message) as string })
    expect(created).toEqual([])
  })
})

describe('a changelog that is there already', () => {
  const there = { ...WHOLE, 'app-last-changelog': 2 }

  it('stops it when Kafka would delete from it, with what to set', async () => {
    const { prepare } = clusterOf(there, { ...FIT, 'cleanup.policy': 'delete' })
    await expect(prepare()).rejects.toMatchObject({
      code: 'TOPICS',
      message: expect.stringMatching(/app-last-changelog .*Set cleanup\.policy=compact \(kafka-configs/) as string,
    })
  })

  it('is taken as it is, and that is told, when its settings are not for us to see', async () => {
    const { prepare, warned } = clusterOf(there, KafkaError.named('TOPIC_AUTHORIZATION_FAILED', {}))
    await expect(prepare()).resolves.toHaveLength(5)
    expect(warned).toMatchObject([/not checked/])
  })
})

it('an input topic that grows while the application runs stops it: keys have moved away from their state', async () => {
  const plan = await clusterOf(WHOLE).prepare()
  await expect(checkInputsUnchanged(clusterOf(WHOLE).admin, plan)).resolves.toBeUndefined()
  await expect(checkInputsUnchanged(clusterOf({ ...WHOLE, orders: 4 }).admin, plan)).rejects.toMatchObject({
    code: 'TOPICS',
    concerns: { topic: 'orders' },
  })
})
