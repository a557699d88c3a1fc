import { changelogTopic } from '../changelog/changelog-topics.js'
import type { CommittedOffset, GroupDescription, KafkaAdmin } from '../kafka/admin.js'
import type { GroupAdmin } from '../kafka/group-admin.js'
import type { AssignmentMap } from '../membership/group-metadata.js'
import { CliError } from './failure.js'
import { assignmentOf, describeMember, type GroupMemberDescription } from './group-members.js'
import { internalTopics } from './internal-topics.js'

export interface InputDescription {
  readonly topic: string
  readonly partition: number
  /** The next offset to be read; null if none is committed. */
  readonly committed: number | null
  /** The next offset that a reader of committed records has not seen; null if the topic is gone. */
  readonly end: number | null
  readonly lag: number | null
  /** A transaction that is not decided yet holds the committed offset. */
  readonly pending: boolean
}

export interface ChangelogDescription {
  readonly topic: string
  readonly partition: number
  /** null if the topic is gone */
  readonly end: number | null
}

export interface TaskDescription {
  readonly id: string
  /** Instances, by their id. */
  readonly active: string | null
  readonly standbys: readonly string[]
  /** Those of the standbys that are to take the task over once they are complete. */
  readonly warmups: readonly string[]
  readonly inputs: readonly InputDescription[]
  readonly changelogs: readonly ChangelogDescription[]
}

export interface ApplicationDescription {
  readonly applicationId: string
  /** 'Stable', 'Empty', 'PreparingRebalance', 'CompletingRebalance', or 'Dead': nobody is in it and it has no offsets. */
  readonly state: string
  /** Of the assignment; null while there is none that all members hold. */
  readonly generation: number | null
  readonly epoch: string | null
  readonly members: readonly (GroupMemberDescription & {
    /** `duplicate` and `stranger` members get no task: AssignmentMap's `rejected` and `strangers`, and other consumers. */
    readonly standing: 'member' | 'duplicate' | 'stranger' | 'unknown'
  })[]
  /** Known from the assignment; empty without one. */
  readonly tasks: readonly TaskDescription[]
  /** Committed offsets of topics that no known task reads: all of them while there is no assignment. */
  readonly otherInputs: readonly InputDescription[]
  /** Changelog and repartition topics whose partitions belong to no known task. */
  readonly otherInternalTopics: readonly string[]
}

/**
 * Everything about an application that the cluster knows. Several requests, one after the other: what moves meanwhile may
 * not fit together to the record.
 * @throws CliError if there is nothing of that name; KafkaError
 */
export async function describeApplication(
  { admin, groups }: { admin: KafkaAdmin; groups: GroupAdmin },
  applicationId: string,
): Promise<ApplicationDescription> {
  const group = await admin.describeGroup(applicationId)
  const committed = await groups.committedOffsets(applicationId)
  const topics = await admin.listTopics()
  const map = assignmentOf(group.state, group.members)
  const stores = (map?.subTopologies ?? []).flatMap((sub) => sub.stores)
  const groupIds = (await groups.listGroups()).map(({ groupId }) => groupId)
  const internal = internalTopics(applicationId, topics, groupIds, stores).own
  if (group.state === 'Dead' && committed.length === 0 && internal.length === 0) {
    throw new CliError(`there is no application ${applicationId} here: no group, no offsets and no topics of that name`)
  }
  const ends = await endOffsets(admin, wantedEnds(applicationId, map, committed, new Set(topics)))
  const tasks = map === undefined ? [] : describeTasks(applicationId, map, committed, ends)
  const read = new Set(tasks.flatMap(({ inputs }) => inputs.map(({ topic }) => topic)))
  const logged = new Set(tasks.flatMap(({ changelogs }) => changelogs.map(({ topic }) => topic)))
  return {
    applicationId,
    state: group.state,
    generation: map?.generation ?? null,
    epoch: map?.epoch ?? null,
    members: describeMembers(group, map),
    tasks,
    otherInputs: committed
      .filter(({ topic }) => !read.has(topic))
      .map((offset) => input(offset.topic, offset.partition, offset, ends.inputs))
      .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1)),
    otherInternalTopics: internal.filter((topic) => !read.has(topic) && !logged.has(topic)),
  }
}

function describeMembers({ members }: GroupDescription, map: AssignmentMap | undefined) {
  return members.map((member) => {
    const described = describeMember(member)
    const { memberId } = described
    if (map === undefined) return { ...described, standing: 'unknown' as const }
    if (map.rejected.includes(memberId)) return { ...described, standing: 'duplicate' as const }
    const known = map.members.some((assigned) => assigned.memberId === memberId)
    return { ...described, standing: known ? ('member' as const) : ('stranger' as const) }
  })
}

/** `topic` -> partitions */
type Partitions = Map<string, Set<number>>
/** `topic-partition` -> offset */
type Offsets = ReadonlyMap<string, number>
interface Ends {
  readonly inputs: Offsets
  readonly changelogs: Offsets
}

function wantedEnds(
  applicationId: string,
  map: AssignmentMap | undefined,
  committed: readonly CommittedOffset[],
  existing: ReadonlySet<string>,
): { inputs: Partitions; changelogs: Partitions } {
  const wanted = { inputs: new Map() as Partitions, changelogs: new Map() as Partitions }
  const want = (of: Partitions, topic: string, partition: number) => {
    if (existing.has(topic)) of.set(topic, (of.get(topic) ?? new Set<number>()).add(partition))
  }
  for (const { topic, partition } of committed) want(wanted.inputs, topic, partition)
  for (const { partitions, sourceTopics, stores } of map?.subTopologies ?? []) {
    for (let partition = 0; partition < partitions; partition++) {
      for (const topic of sourceTopics) want(wanted.inputs, topic, partition)
      for (const store of stores) want(wanted.changelogs, changelogTopic(applicationId, store), partition)
    }
  }
  return wanted
}

/** Of inputs what a reader of committed records can reach, of changelogs everything that was written. */
async function endOffsets(admin: KafkaAdmin, wanted: { inputs: Partitions; changelogs: Partitions }): Promise<Ends> {
  const list = async (partitions: Partitions, isolation: 'read_committed' | 'read_uncommitted') => {
    const found = new Map<string, number>()
    for (const [topic, numbers] of partitions) {
      const ends = await admin.listOffsets(topic, [...numbers], 'latest', isolation)
      for (const [partition, end] of ends) found.set(`${topic}-${partition}`, end)
    }
    return found
  }
  return {
    inputs: await list(wanted.inputs, 'read_committed'),
    changelogs: await list(wanted.changelogs, 'read_uncommitted'),
  }
}

function describeTasks(
  applicationId: string,
  { subTopologies, members }: AssignmentMap,
  committed: readonly CommittedOffset[],
  ends: Ends,
): TaskDescription[] {
  const offsets = new Map(committed.map((one) => [`${one.topic}-${one.partition}`, one]))
  const having = (role: 'active' | 'standby' | 'warmup', id: string) =>
    members.filter((member) => member[role].includes(id)).map(({ instance }) => instance)
  return subTopologies.flatMap(({ id: sub, partitions, sourceTopics, stores }) =>
    Array.from({ length: partitions }, (_, partition) => {
      const id = `${sub}_${partition}`
      return {
        id,
        active: having('active', id)[0] ?? null,
        standbys: having('standby', id),
        warmups: having('warmup', id),
        inputs: sourceTopics.map((topic) => input(topic, partition, offsets.get(`${topic}-${partition}`), ends.inputs)),
        changelogs: stores.map((store) => {
          const topic = changelogTopic(applicationId, store)
          return { topic, partition, end: ends.changelogs.get(`${topic}-${partition}`) ?? null }
        }),
      }
    }),
  )
}

function input(
  topic: string,
  partition: number,
  committed: CommittedOffset | undefined,
  ends: Offsets,
): InputDescription {
  const end = ends.get(`${topic}-${partition}`) ?? null
  const offset = committed === undefined || committed.offset < 0 ? null : committed.offset
  // Offsets may be newer than ends asked for before them.
  const lag = offset === null || end === null ? null : Math.max(0, end - offset)
  return { topic, partition, committed: offset, end, lag, pending: committed?.unstable ?? false }
}
