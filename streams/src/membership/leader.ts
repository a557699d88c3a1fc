import { randomUUID } from 'node:crypto'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import type { GroupAssignor } from '../kafka/group-member.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import { messageOf } from '../errors.js'
import { assignTasks, type AssignorMember } from './assignor.js'
import {
  decodeMemberMetadata,
  encodeMetadata,
  METADATA_VERSION,
  type AssignmentMap,
  type MemberMetadata,
} from './group-metadata.js'

/** How long a rebalance waits for the transactions of dead instances to be ended. */
const FENCE_TIMEOUT_MS = 5_000

export interface LeaderOptions {
  client: KafkaClient
  log: KafkaLog
  /** Every task of the application with the topics whose partition of the same number it reads. */
  tasks(): readonly { id: string; partition: number; topics: readonly string[] }[]
  /** Of this member, at the time of the call. */
  metadata(): Omit<MemberMetadata, 'v'>
}

/**
 * The application's side of the group protocol: tells the leader who we are, and when we are the leader, decides who
 * does what, once, for everybody. Before tasks change hands it ends the transactions of instances that are gone: a dead
 * instance's open transaction would hold back its successor until the broker's timeout.
 */
export function createAssignor({ client, log, tasks, metadata }: LeaderOptions): GroupAssignor {
  return {
    name: 'candlewick-streams',
    userData: () => encodeMetadata({ v: METADATA_VERSION, ...metadata() }),

    async assign(members) {
      const known = members.flatMap(({ memberId, userData }) => {
        const told = decodeMemberMetadata(userData)
        if (told === undefined) {
          log.warn({ memberId }, 'a member of the group is no instance of this application: it gets no task')
          return []
        }
        return [{ memberId, ...told }]
      })
      await fenceTheDead(client, log, known)

      const all = tasks()
      const { active, rejected } = assignTasks(
        known satisfies AssignorMember[],
        all.map(({ id }) => id),
      )
      const map: AssignmentMap = {
        v: METADATA_VERSION,
        epoch: randomUUID(),
        rejected,
        members: known
          .filter(({ memberId }) => active.has(memberId))
          .map(({ memberId, instance, endpoint, transactionalId }) => {
            return { memberId, instance, endpoint, transactionalId, active: active.get(memberId)! }
          }),
      }
      const userData = encodeMetadata(map)
      return new Map(
        members.map(({ memberId }) => {
          const held = new Set(active.get(memberId) ?? [])
          const partitions = partitionsOf(all.filter(({ id }) => held.has(id)))
          return [memberId, { partitions, userData }]
        }),
      )
    },
  }
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

async function fenceTheDead(client: KafkaClient, log: KafkaLog, members: readonly MemberMetadata[]): Promise<void> {
  const alive = new Set(members.map(({ transactionalId }) => transactionalId))
  const gone = new Set(
    members.flatMap(({ knownTransactionalIds }) => knownTransactionalIds).filter((id) => !alive.has(id)),
  )
  if (gone.size === 0) return
  // Not longer: an instance that comes back under its id meanwhile must not be fenced by a late try.
  const signal = AbortSignal.any([client.closing, AbortSignal.timeout(FENCE_TIMEOUT_MS)])
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
  await Promise.all(fenced)
}
