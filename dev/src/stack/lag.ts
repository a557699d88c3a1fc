import type { KafkaAdmin } from '@candlewick/streams/kafka/admin'

/** How far a topic and a group on it are, summed over the partitions. */
export interface TopicLag {
  topic: string
  partitions: number
  /** Sum of the offsets up to which readers of committed records can read; for `trades` the records ever written. */
  end: number
  /** Records that were there when asked and that the group has not committed since; undefined = it has committed nothing, or there is no group to ask for. */
  lag: number | undefined
}

/**
 * End offsets of topics and a group's lag on them. A topic that does not exist is absent.
 * @param groupId undefined = the end offsets only
 */
export async function topicLags(
  admin: KafkaAdmin,
  topics: readonly string[],
  groupId: string | undefined,
): Promise<TopicLag[]> {
  const described = await admin.describeTopics(topics)
  const partitionsOf = new Map(described.map(({ name, partitions }) => [name, range(partitions)]))
  const bounds = await Promise.all(
    [...partitionsOf].map(async ([topic, partitions]) => {
      const ends = await admin.listOffsets(topic, partitions, 'latest', 'read_committed')
      const starts = await admin.listOffsets(topic, partitions, 'earliest', 'read_committed')
      return { topic, partitions, ends, starts }
    }),
  )
  // After the ends: what is written while we ask is no lag.
  const committed =
    groupId === undefined ? [] : await admin.committedOffsets(groupId, partitionsOf, { requireStable: false })
  return bounds.map(({ topic, partitions, ends, starts }): TopicLag => {
    const own = committed.filter((entry) => entry.topic === topic && entry.offset >= 0)
    const positions = new Map(own.map(({ partition, offset }) => [partition, offset]))
    const lags = partitions.map((partition) => {
      const from = positions.get(partition) ?? starts.get(partition) ?? 0
      return Math.max(0, (ends.get(partition) ?? 0) - from)
    })
    return {
      topic,
      partitions: partitions.length,
      end: sum(ends.values()),
      lag: own.length > 0 ? sum(lags) : undefined,
    }
  })
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/** The group in which the sink reads, as cassandra/ names it. */
export function sinkGroup(applicationId: string): string {
  return `${applicationId}-sink`
}
