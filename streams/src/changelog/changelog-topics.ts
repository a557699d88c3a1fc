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
  return {
    'cleanup.policy': 'compact,delete',
    'retention.ms': String(store.retentionMs + WEEK_MS),
    // The brokers may have one for all topics, and windows that are kept must not go by size.
    'retention.bytes': '-1',
  }
}

/** What unfitSettings looks at. */
export const SETTINGS_THAT_DELETE = [
  'cleanup.policy',
  'delete.retention.ms',
  'retention.ms',
  'retention.bytes',
  'message.timestamp.type',
]

/**
 * Of a changelog that somebody else made or altered: the settings, as key=value, that it needs so that the broker deletes
 * nothing that the store still has. A store that is to keep windows for longer than before needs a longer retention too.
 * @param config the topic's SETTINGS_THAT_DELETE
 */
export function unfitSettings(store: StoreSpec, config: ReadonlyMap<string, string | null>): string[] {
  const policies = config.get('cleanup.policy')?.split(',') ?? []
  const unfit: string[] = []
  if (policies.includes('compact') && Number(config.get('delete.retention.ms')) < DELETE_RETENTION_MS) {
    unfit.push(`delete.retention.ms=${DELETE_RETENTION_MS}`)
  }
  if (!policies.includes('delete')) return unfit
  if (store.kind === 'key-value') return ['cleanup.policy=compact', ...unfit]

  const retentionMs = Number(config.get('retention.ms'))
  if (retentionMs >= 0 && retentionMs < store.retentionMs) unfit.push(`retention.ms=${store.retentionMs + WEEK_MS}`)
  if (config.get('retention.bytes') !== '-1') unfit.push('retention.bytes=-1')
  if (config.get('message.timestamp.type') !== 'LogAppendTime') unfit.push('message.timestamp.type=LogAppendTime')
  return unfit
}
