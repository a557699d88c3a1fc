import { describe, expect, inject, it } from 'vitest'
import { KafkaAdmin } from './kafka/admin.js'
import { GroupMember } from './kafka/group-member.js'
import { until } from './kafka/testing/test-cluster.js'
import { createAssignor } from './membership/leader.js'
import { CountingGroup } from './testing/counting-group.js'

const PARTITIONS = 3
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

const withGroup = (work: (group: CountingGroup) => Promise<void>): Promise<void> =>
  CountingGroup.during(inject('kafkaBrokers'), { partitions: PARTITIONS }, work)

/** A member of the group as the instance tells of itself, that says no more once it has joined. */
function memberAs(instance: string, { client, run }: CountingGroup): GroupMember {
  const metadata = {
    instance,
    transactionalId: `${run}-${instance}`,
    endpoint: null,
    startedAtMs: Date.now(),
    topology: [{ id: 0, partitions: PARTITIONS, sourceTopics: [`${run}-in`], stores: ['sums'] }],
    running: [],
    standing: [],
    positions: {},
    knownTransactionalIds: [],
  }
  const assignor = { standbyReplicas: 0, acceptableLag: 100_000 }
  const admin = new KafkaAdmin(client)
  return new GroupMember(client, {
    groupId: run,
    topics: [`${run}-in`],
    assignor: createAssignor({
      ...{ client, admin, log: quiet, applicationId: run, assignor, sessionTimeoutMs: 6_000 },
      metadata: () => metadata,
    }),
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: 30_000,
    heartbeatIntervalMs: 200,
    log: quiet,
  })
}

describe.concurrent('an instance id that the group has already', () => {
  it('stops the younger of two processes that run, and the older goes on', async () => {
    await withGroup(async (group) => {
      const older = group.start('a')
      await older.running()
      await group.send(5)
      const younger = group.start('a', { disk: 'another' })
      await younger.ended()
      expect(younger.lines.find(({ message }) => message === 'ended by an error')?.reason).toMatch(
        /another running process has the instance id 'a'/,
      )
      await group.send(5)
      await group.exact()
      expect(older.isRunning).toBe(true)
    })
  })

  it('is waited for when its owner was killed while it joined, and its disk is lost', async () => {
    await withGroup(async (group) => {
      const before = group.start('a')
      await before.running()
      await group.send(5)
      await group.exact()
      await before.end('SIGTERM')
      await group.loseState('a')

      const dead = memberAs('a', group)
      await dead.join()
      const after = group.start('a')
      await until(() => dead.state === 'rebalance-needed', 'the group is asked to join again')
      await dead.join()
      await dead.close()
      await until(() => after.lines.some(({ message }) => /older member has our instance id/.test(message)), 'it waits')
      await group.send(5)
      await group.exact()
      expect(after.isRunning).toBe(true)
    })
  })
})
