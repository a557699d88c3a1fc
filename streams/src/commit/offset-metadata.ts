/** How far a store's changelog was written when offsets were committed. */
export interface CommittedChangelog {
  /** Kafka's id of the topic. */
  readonly topicId: string
  /** Everything before this offset of the task's partition was written. */
  readonly end: number
}

/** The broker refuses more (offset.metadata.max.bytes). */
const MOST_BYTES = 4096

/**
 * What is committed with a task's offsets: its clocks, so that every owner takes the same decisions, and how far its
 * changelogs were, so that a changelog that was lost does not pass for an empty one. A topology with so many stores that
 * this would be too long for the broker goes without the latter.
 * @param clock TaskClock.toMetadata()
 */
export function offsetMetadata(clock: string, changelogs: Readonly<Record<string, CommittedChangelog>>): string {
  const compact = Object.entries(changelogs).map(([store, { topicId, end }]) => [store, topicId, end])
  const metadata = JSON.stringify({ ...(JSON.parse(clock) as object), changelogs: compact })
  return Buffer.byteLength(metadata) <= MOST_BYTES ? metadata : clock
}

/** By store; nothing where the metadata does not tell, as of offsets that were set by a tool. */
export function changelogsIn(metadata: string): Readonly<Record<string, CommittedChangelog>> {
  try {
    const { changelogs } = (JSON.parse(metadata) ?? {}) as { changelogs?: [string, string, number][] }
    return Object.fromEntries((changelogs ?? []).map(([store, topicId, end]) => [store, { topicId, end }]))
  } catch {
    return {}
  }
}

/** Whether it says which changelogs there are: none at all is an answer, too. */
export function namesChangelogs(metadata: string): boolean {
  try {
    return Array.isArray((JSON.parse(metadata) as { changelogs?: unknown } | null)?.changelogs)
  } catch {
    return false
  }
}

/**
 * What `streams reset` commits with the offsets while it is under way: state and offsets do not fit together then, and
 * an application that starts must not take them for its own.
 * @param stores whose changelogs it is about to delete: should it be interrupted, who goes on has to know them
 */
export function resetUnfinished(stores: readonly string[]): string {
  const mark = { reset: 'unfinished' }
  const metadata = JSON.stringify({ ...mark, changelogs: stores.map((store) => [store, '', 0]) })
  return Buffer.byteLength(metadata) <= MOST_BYTES ? metadata : JSON.stringify(mark)
}

export function isResetUnfinished(metadata: string): boolean {
  try {
    return (JSON.parse(metadata) as { reset?: unknown } | null)?.reset === 'unfinished'
  } catch {
    return false
  }
}
