import { changelogSpecs, changelogTopic, SETTINGS_THAT_DELETE, unfitSettings } from '../changelog/changelog-topics.js'
import { StreamsError } from '../errors.js'
import type { KafkaAdmin, TopicSpec } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import { isKafkaError } from '../kafka/errors.js'
import type { Topology } from '../topology/topology.js'

/** Every task of an application, which follows from the topology and the partitions of its input topics. */
export interface TaskPlan {
  readonly id: string
  readonly partition: number
  readonly subTopologyId: number
  readonly topics: readonly string[]
}

/**
 * Checks that the topics of the topology are there and fit together, makes the changelogs that are missing, and lists
 * the tasks.
 * @throws StreamsError TOPICS naming what is missing or does not fit
 */
export async function prepareTopics(
  { client, admin }: { client: KafkaClient; admin: KafkaAdmin },
  applicationId: string,
  topology: Topology,
  replicationFactor: number,
): Promise<TaskPlan[]> {
  const external = [...new Set([...topology.sourceTopics, ...topology.sinkTopics])]
  const found = new Map((await admin.describeTopics(external)).map(({ name, partitions }) => [name, partitions]))
  const missing = external.filter((topic) => !found.has(topic))
  if (missing.length > 0) {
    throw new StreamsError('TOPICS', `missing topics: ${missing.join(', ')}: create them before the application starts`)
  }

  const partitionsOf = new Map<number, number>()
  for (const { id, sourceTopics } of topology.subTopologies) {
    const counts = sourceTopics.map((topic) => found.get(topic)!)
    if (new Set(counts).size > 1) {
      const told = sourceTopics.map((topic, at) => `${topic} has ${counts[at]}`).join(', ')
      throw new StreamsError('TOPICS', `topics read together need the same number of partitions: ${told}`)
    }
    partitionsOf.set(id, counts[0]!)
  }
  const changelogs = changelogSpecs(applicationId, topology, partitionsOf, replicationFactor)
  const there = await checkPartitions(admin, changelogs)
  await checkSettings({ client, admin }, applicationId, topology, there)
  await admin.createTopics(changelogs)
  await client.watchTopics([...external, ...changelogs.map(({ name }) => name)])

  return topology.subTopologies.flatMap(({ id, sourceTopics }) =>
    Array.from({ length: partitionsOf.get(id)! }, (_, partition) => {
      return { id: `${id}_${partition}`, partition, subTopologyId: id, topics: sourceTopics }
    }),
  )
}

/**
 * A changelog has as many partitions as its task's inputs, or state and input no longer belong together.
 * @returns those that are there already
 */
async function checkPartitions(admin: KafkaAdmin, changelogs: readonly TopicSpec[]): Promise<string[]> {
  const found = await admin.describeTopics(changelogs.map(({ name }) => name))
  for (const { name, partitions } of found) {
    const needed = changelogs.find((spec) => spec.name === name)!.partitions
    if (partitions === needed) continue
    throw new StreamsError(
      'TOPICS',
      `changelog ${name} has ${partitions} partitions, but what is read with it has ${needed}: with another number keys ` +
        `lie on other partitions than their state. Read a topic with ${partitions} partitions, or start over with ` +
        `'streams reset'`,
      { topic: name },
    )
  }
  return found.map(({ name }) => name)
}

/** What the broker deletes of a changelog is missing when the state is restored, and nobody would notice. */
async function checkSettings(
  { client, admin }: { client: KafkaClient; admin: KafkaAdmin },
  applicationId: string,
  topology: Topology,
  there: readonly string[],
): Promise<void> {
  const configs = await admin.topicConfigs(there, SETTINGS_THAT_DELETE).catch((error: unknown) => {
    if (!isKafkaError(error, 'TOPIC_AUTHORIZATION_FAILED')) throw error
    client.log.warn(
      { error: error.message },
      'the settings of the changelogs are not checked: that is not allowed to us',
    )
    return new Map<string, never>()
  })
  for (const store of topology.subTopologies.flatMap(({ stores }) => stores)) {
    const topic = changelogTopic(applicationId, store.name)
    const config = configs.get(topic)
    const unfit = config === undefined ? [] : unfitSettings(store, config)
    if (unfit.length === 0) continue
    throw new StreamsError(
      'TOPICS',
      `changelog ${topic} has settings under which Kafka deletes state that is still needed. Set ${unfit.join(' and ')} ` +
        `(kafka-configs --alter --topic ${topic} --add-config ...). What it has deleted already is missing in a restore: ` +
        `if you cannot rule that out, start over with 'streams reset'`,
      { topic },
    )
  }
}

/**
 * Input topics that have other partitions by now than tasks were planned for: what new partitions hold would never be
 * read, and keys have moved away from their state.
 * @throws StreamsError TOPICS
 */
export async function checkInputsUnchanged(admin: KafkaAdmin, plan: readonly TaskPlan[]): Promise<void> {
  const planned = new Map<string, number>()
  for (const { topics } of plan) for (const topic of topics) planned.set(topic, (planned.get(topic) ?? 0) + 1)
  for (const { name, partitions } of await admin.describeTopics([...planned.keys()])) {
    if (partitions === planned.get(name)) continue
    throw new StreamsError(
      'TOPICS',
      `input topic ${name} had ${planned.get(name)} partitions and has ${partitions} now: keys lie on other partitions ` +
        `than their state. Write what is to be read to a topic whose number of partitions stays, or start over with ` +
        `'streams reset'`,
      { topic: name },
    )
  }
}
