import type { TopicSpec } from '../kafka/admin.js'
import type { StoreSpec } from '../topology/stores.js'
import type { Topology } from '../topology/topology.js'

/** How long a compacted changelog keeps tombstones. */
export const DELETE_RETENTION_MS = 24 * 3_600_000
const WEEK_MS = 7 * 24 * 3_600_000

/** Where a store's changes go: one record per commit and changed key, the key as in the store, null for deleted. */
export function changelogTopic(applicationId: string, store: string): string {
  return `${applicationId}-${store}-changelog`
}

/**
 * The changelogs a topology needs: compacted; those of windows are deleted too, a week after the store lets them go when
 * records come as they happen (it goes by stream time, the broker by the time it took them in).
 * LogAppendTime, or the broker would delete by event time: a replay of an old day would vanish within minutes.
 * @param partitionsOf partitions of each sub-topology, by its id
 */
export function changelogSpecs(
  applicationId: string,
  topology: Topology,
  partitionsOf: ReadonlyMap<number, number>,
  replicationFactor: number,
): TopicSpec[] {
  return topology.subTopologies.flatMap(({ id, stores }) =>
    stores.map((store) => ({
      name: changelogTopic(applicationId, store.name),
      partitions: partitionsOf.get(id)!,
      replicationFactor,
      config: {
        'message.timestamp.type': 'LogAppendTime',
        'delete.retention.ms': String(DELETE_RETENTION_MS),
        ...retention(store),
      },
    })),
  )
}

function retention(store: StoreSpec): Record<string, string> {
  if (store.kind === 'key-value') return { 'cleanup.policy': 'compact' }
  return { 'cleanup.policy': 'compact,delete', 'retention.ms': String(store.retentionMs + WEEK_MS) }
}
