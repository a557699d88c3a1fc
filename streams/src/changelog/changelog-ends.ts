import type { KafkaAdmin } from '../kafka/admin.js'
import { changelogTopic } from './changelog-topics.js'

/** Where the changelog of one store begins and ends, in one partition. */
export interface ChangelogEnds {
  readonly logStart: number
  /** With transactions that are still open: all that may be committed by now lies before it. */
  readonly highWatermark: number
}

/**
 * @param partitions by store
 * @returns by store and partition
 * @throws KafkaError when Kafka does not answer for 30 s, or a changelog does not exist
 */
export async function listChangelogEnds(
  admin: Pick<KafkaAdmin, 'listOffsets'>,
  applicationId: string,
  partitions: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, Map<number, ChangelogEnds>>> {
  const ends = [...partitions].map(async ([store, numbers]) => {
    const topic = changelogTopic(applicationId, store)
    const [highWatermarks, logStarts] = await Promise.all([
      admin.listOffsets(topic, numbers, 'latest', 'read_uncommitted'),
      admin.listOffsets(topic, numbers, 'earliest', 'read_uncommitted'),
    ])
    const endsOf = (partition: number): ChangelogEnds => {
      return { logStart: logStarts.get(partition)!, highWatermark: highWatermarks.get(partition)! }
    }
    return [store, new Map(numbers.map((partition) => [partition, endsOf(partition)]))] as const
  })
  return new Map(await Promise.all(ends))
}
