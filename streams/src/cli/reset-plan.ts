import { setTimeout as delay } from 'node:timers/promises'
import { changelogsIn, isResetUnfinished, namesChangelogs } from '../commit/offset-metadata.js'
import type { CommittedOffset, KafkaAdmin } from '../kafka/admin.js'
import type { GroupAdmin } from '../kafka/group-admin.js'
import type { ResetCommand, ResetTarget } from './command-line.js'
import { CliError } from './failure.js'
import { describeMember } from './group-members.js'
import { internalTopics } from './internal-topics.js'
import type { LocalState } from './local-state.js'

export interface PlannedOffset {
  readonly topic: string
  readonly partition: number
  /** null: none is committed */
  readonly from: number | null
  /** null: it is taken away */
  readonly to: number | null
}

/** What a reset does, and what stands in its way. */
export interface ResetPlan {
  readonly applicationId: string
  readonly target: ResetTarget
  readonly groupExists: boolean
  /** Of input topics that exist, every partition of each. */
  readonly offsets: readonly PlannedOffset[]
  /** Committed offsets of internal topics: they go with their topics. */
  readonly internalOffsets: readonly { readonly topic: string; readonly partition: number }[]
  readonly internalTopics: readonly string[]
  /** Those that the application's commits name. */
  readonly stores: readonly string[]
  readonly othersTopics: readonly { readonly topic: string; readonly groupId: string }[]
  readonly local: readonly LocalState[]
  /** Whether state directories were named at all. */
  readonly looksAtLocal: boolean
  /** An earlier reset was interrupted. */
  readonly unfinished: boolean
  /** Why it cannot be done now, a sentence each. */
  readonly obstacles: readonly string[]
}

/** Longer than transactions may take that nobody ends: the broker's default for consumers of this library is 10 s. */
const UNDECIDED_WAIT_MS = 60_000
const UNDECIDED_POLL_MS = 250

/**
 * Looks at what there is and changes nothing.
 * @param local what lies in the state directories that were named, each with its lock held
 * @throws CliError if there is nothing of that name; KafkaError
 */
export async function planReset(
  { admin, groups }: { admin: KafkaAdmin; groups: GroupAdmin },
  { applicationId, to: target, stateDirs }: Pick<ResetCommand, 'applicationId' | 'to' | 'stateDirs'>,
  local: readonly LocalState[],
): Promise<ResetPlan> {
  const { state, members } = await admin.describeGroup(applicationId)
  const obstacles = members.map(describeMember).map(({ instance, clientId, host }) => {
    const who = instance === null ? `a consumer (client ${clientId})` : `instance ${instance}`
    return `${who} on host ${host} is in the group: stop it (if it was killed, wait until its session times out)`
  })
  // Of a running application they are never all decided.
  const committed = await committedOffsets(groups, applicationId, { wait: members.length === 0 })
  const topics = await admin.listTopics()
  const groupIds = (await groups.listGroups()).map(({ groupId }) => groupId)
  const stores = [...new Set(committed.flatMap(({ metadata }) => Object.keys(changelogsIn(metadata))))]
  const internal = internalTopics(applicationId, topics, groupIds, stores)
  const ofInternal = committed.filter(({ topic }) => internal.own.includes(topic))
  const existing = new Set(topics)
  const ofInputs = committed.filter(({ topic }) => existing.has(topic) && !internal.own.includes(topic))

  const hasState = local.some(({ taskDirectories }) => taskDirectories.length > 0)
  if (state === 'Dead' && committed.length === 0 && internal.own.length === 0 && !hasState) {
    throw new CliError(
      `there is nothing to reset: no group, no offsets, no internal topics and no local state of ${applicationId}`,
    )
  }
  const isNamed = committed.length === 0 || committed.some(({ metadata }) => namesChangelogs(metadata))
  if (!isNamed && internal.others.length > 0) {
    const doubtful = internal.others.map(({ topic, groupId }) => `${topic} (or group ${groupId} has)`).join(', ')
    obstacles.push(
      `the committed offsets do not name the application's stores, so it cannot be told whether it has made ${doubtful}: ` +
        `delete those that are its own (kafka-topics --delete) and then the group (kafka-consumer-groups --delete), and ` +
        `run this again`,
    )
  }
  if (ofInputs.length === 0 && (target.kind === 'latest' || target.kind === 'time')) {
    obstacles.push('the group has no committed offsets, so its input topics are not known: use --to earliest or none')
  }
  return {
    applicationId,
    target,
    groupExists: state !== 'Dead',
    offsets: await plannedOffsets(admin, ofInputs, target),
    internalOffsets: ofInternal.map(({ topic, partition }) => ({ topic, partition })),
    internalTopics: internal.own,
    stores,
    othersTopics: internal.others,
    local,
    looksAtLocal: stateDirs.length > 0,
    unfinished: committed.some(({ metadata }) => isResetUnfinished(metadata)),
    obstacles,
  }
}

/** Once no transaction of an instance that died holds any of them. */
async function committedOffsets(
  groups: GroupAdmin,
  applicationId: string,
  { wait }: { wait: boolean },
): Promise<CommittedOffset[]> {
  const deadline = performance.now() + UNDECIDED_WAIT_MS
  for (;;) {
    const committed = await groups.committedOffsets(applicationId)
    const undecided = committed.find(({ unstable }) => unstable)
    if (undecided === undefined || !wait) return committed
    if (performance.now() > deadline) {
      const { topic, partition } = undecided
      throw new CliError(
        `a transaction holds the offset of ${topic}-${partition} for more than ${UNDECIDED_WAIT_MS / 1000} s: find out ` +
          `whose it is (kafka-transactions.sh list) and end it`,
      )
    }
    await delay(UNDECIDED_POLL_MS)
  }
}

/** An application goes on with every partition of a topic, so those without an offset are moved as well. */
async function plannedOffsets(
  admin: KafkaAdmin,
  committed: readonly CommittedOffset[],
  target: ResetTarget,
): Promise<PlannedOffset[]> {
  const names = [...new Set(committed.map(({ topic }) => topic))].sort()
  const known = new Map(committed.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  const planned: PlannedOffset[] = []
  for (const { name: topic, partitions: count } of await admin.describeTopics(names)) {
    const partitions = Array.from({ length: count }, (_, partition) => partition)
    const targets = await targetOffsets(admin, topic, partitions, target)
    for (const partition of partitions) {
      const from = known.get(`${topic}-${partition}`) ?? -1
      planned.push({ topic, partition, from: from < 0 ? null : from, to: targets?.get(partition) ?? null })
    }
  }
  return planned
}

async function targetOffsets(
  admin: KafkaAdmin,
  topic: string,
  partitions: readonly number[],
  target: ResetTarget,
): Promise<Map<number, number> | undefined> {
  if (target.kind === 'none') return undefined
  if (target.kind !== 'time') return admin.listOffsets(topic, partitions, target.kind, 'read_committed')
  const found = await admin.listOffsets(topic, partitions, target, 'read_committed')
  const later = await admin.listOffsets(topic, partitions, 'latest', 'read_committed')
  return new Map([...found].map(([partition, offset]) => [partition, offset < 0 ? later.get(partition)! : offset]))
}
