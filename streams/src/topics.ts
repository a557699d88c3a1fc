import { changelogSpecs } from './changelog/changelog-topics.js'
import { StreamsError } from './errors.js'
import type { KafkaAdmin } from './kafka/admin.js'
import type { KafkaClient } from './kafka/client.js'
import type { Topology } from './topology/topology.js'

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
  await admin.createTopics(changelogs)
  await client.watchTopics([...external, ...changelogs.map(({ name }) => name)])

  return topology.subTopologies.flatMap(({ id, sourceTopics }) =>
    Array.from({ length: partitionsOf.get(id)! }, (_, partition) => {
      return { id: `${id}_${partition}`, partition, subTopologyId: id, topics: sourceTopics }
    }),
  )
}
