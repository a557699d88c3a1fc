import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { failpoint } from '../failpoints.js'
import { listChangelogEnds, type ChangelogEnds } from '../changelog/changelog-ends.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { GroupAssignor } from '../kafka/group-member.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import { messageOf } from '../errors.js'
import { assignTasks, type AssignorOptions, type AssignorTask } from './assignor.js'
import {
  decodeMemberMetadata,
  encodeMetadata,
  METADATA_VERSION,
  type AssignmentMap,
  type MemberMetadata,
  type SubTopologyMetadata,
} from './group-metadata.js'

/** Of its session a leader spends at most so much on ending transactions of the dead, and as much on asking for ends. */
const SHARE_OF_SESSION = 1 / 3

export interface LeaderOptions {
  client: KafkaClient
  admin: Pick<KafkaAdmin, 'listOffsets'>
  log: KafkaLog
  applicationId: string
  assignor: AssignorOptions
  sessionTimeoutMs: number
  /** Of this member, at the time of the call. */
  metadata(): Omit<MemberMetadata, 'v'>
}

/**
 * The application's side of the group protocol: tells the leader who we are, and when we are the leader, decides who
 * does what, once, for everybody. Before tasks change hands it ends the transactions of instances that are gone: a dead
 * instance's open transaction would hold back its successor until the broker's timeout.
 *
 * Members that run another topology than the oldest member get no task, or they would take each other's state for their
 * own. So in a rolling upgrade to another topology the new ones wait until the last old one is gone.
 */
export function createAssignor(options: LeaderOptions): GroupAssignor {
  const { log, assignor, metadata } = options
  const patienceMs = Math.floor(options.sessionTimeoutMs * SHARE_OF_SESSION)
  return {
    name: 'candlewick-streams',
    userData({ expelled }) {
      const told = metadata()
      // Somebody else may run by now what ran here.
      return encodeMetadata({ v: METADATA_VERSION, ...told, ...(expelled && { running: [] }) })
    },

    async assign(members, generation) {
      const known = members.flatMap(({ memberId, userData }) => {
        const told = decodeMemberMetadata(userData)
        if (told === undefined) {
          log.warn({ memberId }, 'a member of the group is no instance of this application: it gets no task')
          return []
        }
        return [{ memberId, ...told }]
      })
      await fenceTheDead(options, known, patienceMs)
      await failpoint('rebalance.dead-fenced')

      const { topology, insiders, strangers } = separate(known)
      const ends = await endsWithin(patienceMs, options, topology)
      const tasks = topology.flatMap((sub) => tasksOf(sub, ends, insiders))
      const { members: assigned, rejected } = assignTasks(
        insiders.map((member) => ({ ...member, lags: lagsOf(member, tasks) })),
        tasks,
        assignor,
      )
      const map: AssignmentMap = {
        v: METADATA_VERSION,
        epoch: randomUUID(),
        generation,
        subTopologies: topology,
        rejected,
        strangers: strangers.map(({ memberId }) => memberId),
        members: insiders
          .filter(({ memberId }) => assigned.has(memberId))
          .map(({ memberId, instance, endpoint, transactionalId }) => {
            return { memberId, instance, endpoint, transactionalId, ...assigned.get(memberId)! }
          }),
      }
      const userData = encodeMetadata(map)
      return new Map(
        members.map(({ memberId }) => {
          const held = new Set(assigned.get(memberId)?.active ?? [])
          const partitions = partitionsOf(tasks.filter(({ id }) => held.has(id)))
          return [memberId, { partitions, userData }]
        }),
      )
    },
  }
}

type KnownMember = MemberMetadata & { readonly memberId: string }

/**
 * The topology of the oldest member that has run tasks, or of the oldest of all, and who shares it. What runs goes first,
 * since a clock may be wrong: a new process with another topology must not take the tasks of all the others away.
 */
function separate(members: readonly KnownMember[]) {
  const isNew = ({ running }: KnownMember) => Number(running.length === 0)
  const [oldest] = [...members].sort((a, b) => isNew(a) - isNew(b) || a.startedAtMs - b.startedAtMs)
  const topology = oldest?.topology ?? []
  const same = (member: KnownMember) => JSON.stringify(member.topology) === JSON.stringify(topology)
  return { topology, insiders: members.filter(same), strangers: members.filter((member) => !same(member)) }
}

interface LeaderTask extends AssignorTask {
  readonly partition: number
  readonly topics: readonly string[]
  /** Sum of the end offsets of its changelogs. */
  readonly end: number
}

/** By store and partition. */
type Ends = ReadonlyMap<string, ReadonlyMap<number, ChangelogEnds>>

/**
 * Where the changelogs begin and end. A broker that is away must not hold up the group for longer than its sessions
 * last.
 * @returns undefined when it takes longer: then whose state is furthest counts as current
 */
async function endsWithin(
  timeoutMs: number,
  { admin, applicationId, log }: LeaderOptions,
  topology: readonly SubTopologyMetadata[],
): Promise<Ends | undefined> {
  const numbers = (count: number) => Array.from({ length: count }, (_, partition) => partition)
  const wanted = topology.flatMap(({ stores, partitions }) =>
    stores.map((store) => [store, numbers(partitions)] as const),
  )
  const waiting = new AbortController()
  const tooLong = delay(timeoutMs, undefined, { signal: waiting.signal }).then(() => {
    throw new Error(`no answer within ${timeoutMs} ms`)
  })
  try {
    return await Promise.race([listChangelogEnds(admin, applicationId, new Map(wanted)), tooLong])
  } catch (error) {
    log.warn({ reason: messageOf(error) }, 'changelog ends are not known: whose state is furthest counts as current')
    return undefined
  } finally {
    waiting.abort()
  }
}

function tasksOf(
  { id, partitions, sourceTopics, stores }: SubTopologyMetadata,
  ends: Ends | undefined,
  members: readonly KnownMember[],
): LeaderTask[] {
  return Array.from({ length: partitions }, (_, partition) => {
    const task = `${id}_${partition}`
    const sum = (at: keyof ChangelogEnds) =>
      stores.reduce((total, store) => total + ends!.get(store)!.get(partition)![at], 0)
    const end = ends ? sum('highWatermark') : Math.max(0, ...members.map(({ positions }) => positions[task] ?? 0))
    const records = ends ? end - sum('logStart') : end
    return { id: task, partition, topics: sourceTopics, stateful: stores.length > 0, end, records }
  })
}

function lagsOf({ positions }: MemberMetadata, tasks: readonly LeaderTask[]): Map<string, number> {
  return new Map(
    tasks
      .filter(({ id }) => positions[id] !== undefined)
      .map(({ id, end }) => [id, Math.max(0, end - positions[id]!)] as const),
  )
}

/** Topic -> partitions that these tasks read. */
export function partitionsOf(
  tasks: readonly { partition: number; topics: readonly string[] }[],
): Map<string, number[]> {
  const partitions = new Map<string, number[]>()
  for (const { partition, topics } of tasks) {
    for (const topic of topics) partitions.set(topic, [...(partitions.get(topic) ?? []), partition])
  }
  return partitions
}

async function fenceTheDead(
  { client, log }: LeaderOptions,
  members: readonly MemberMetadata[],
  timeoutMs: number,
): Promise<void> {
  const alive = new Set(members.map(({ transactionalId }) => transactionalId))
  const gone = new Set(
    members.flatMap(({ knownTransactionalIds }) => knownTransactionalIds).filter((id) => !alive.has(id)),
  )
  if (gone.size === 0) return
  // Not longer: an instance that comes back under its id meanwhile must not be fenced by a late try.
  const signal = AbortSignal.any([client.closing, AbortSignal.timeout(timeoutMs)])
  const fenced = [...gone].map(async (transactionalId) => {
    try {
      await TransactionalProducer.fence(client, transactionalId, signal)
      log.info({ transactionalId }, 'ended what was left of an instance that is gone')
    } catch (error) {
      log.warn(
        { transactionalId, reason: messageOf(error) },
        'could not end the transaction of an instance that is gone',
      )
    }
  })
  // Whoever does not answer must not cost us our session: the others wait for what we decide.
  await Promise.race([Promise.all(fenced), once(signal, 'abort')])
}
