import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { KafkaAdmin } from './admin.js'
import { balancedAssignor } from './balanced-assignor.js'
import type { KafkaClient } from './client.js'
import { decodeAssignment, decodeSubscription } from './consumer-protocol.js'
import { KafkaError, failOn } from './errors.js'
import { GroupMember, type GroupAssignor, type GroupGeneration, type GroupMemberOptions } from './group-member.js'
import { offsetCommitRequest } from './protocol/offset-commit.js'
import { TestCluster, until } from './testing/test-cluster.js'

const PARTITIONS = 8
let cluster: TestCluster
let client: KafkaClient
let topic: string
const members: GroupMember[] = []

beforeAll(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  client = cluster.client()
  await client.connect()
  topic = await cluster.topic(PARTITIONS)
})
afterEach(async () => {
  for (const member of members.splice(0)) {
    await member.leave()
    await member.close()
  }
})
afterAll(() => cluster.close())

function balanced(): GroupAssignor {
  return balancedAssignor(() => Promise.resolve(new Map([[topic, PARTITIONS]])))
}

function memberOf(groupId: string, options: Partial<GroupMemberOptions> = {}): GroupMember {
  const member = new GroupMember(client, {
    groupId,
    topics: [topic],
    assignor: balanced(),
    sessionTimeoutMs: 6000,
    rebalanceTimeoutMs: 6000,
    heartbeatIntervalMs: 100,
    log: cluster.log,
    ...options,
  })
  members.push(member)
  return member
}

/** Joins, and joins again whenever the group rebalances: what every owner does. */
async function keepJoined(member: GroupMember): Promise<GroupGeneration> {
  member.onChange = (state) => {
    // Left while it joins, at the end of a test: nobody waits for it any more.
    if (state === 'rebalance-needed') void member.join().catch(() => undefined)
  }
  return await member.join()
}

function settled(all: readonly GroupMember[]): boolean {
  const generations = all.map((member) => (member.state === 'stable' ? member.generation?.generationId : undefined))
  if (generations.some((id) => id === undefined || id !== generations[0])) return false
  return partitionsOf(all).length === PARTITIONS
}

function partitionsOf(all: readonly GroupMember[]): number[] {
  return all.flatMap((member) => member.generation?.assignment.get(topic) ?? []).sort((a, b) => a - b)
}

async function commit(groupId: string, { generationId, memberId }: GroupGeneration): Promise<void> {
  const coordinator = await client.coordinatorOf('group', groupId)
  const offsets = [{ topic, partition: 0, offset: generationId, metadata: '' }]
  const [answer] = await client.send(coordinator, offsetCommitRequest({ groupId, generationId, memberId, offsets }))
  failOn(answer!.errorCode)
}

describe('joining', () => {
  test('a single member leads and gets everything, with the bytes its leader wrote for it', async () => {
    const groupId = cluster.name('group')
    const assignor = {
      name: 'bytes',
      userData: () => Buffer.from('from the member'),
      assign: (all: Parameters<GroupAssignor['assign']>[0]) => {
        const [{ memberId, userData, topics }] = all as [(typeof all)[number]]
        const partitions = new Map(topics.map((name) => [name, [0, 1, 2]]))
        return Promise.resolve(new Map([[memberId, { partitions, userData: Buffer.from(`to ${String(userData)}`) }]]))
      },
    }
    const member = memberOf(groupId, { assignor })
    const generation = await member.join()
    expect(generation).toMatchObject({
      generationId: 1,
      isLeader: true,
      memberId: expect.stringContaining('test') as string,
    })
    expect(generation.assignment).toEqual(new Map([[topic, [0, 1, 2]]]))
    expect(generation.userData.toString()).toBe('to from the member')
    expect(member.state).toBe('stable')

    const described = (await (await cluster.admin()).describeGroups([groupId])).groups[0]!
    expect(described).toMatchObject({ state: 'Stable', protocolType: 'consumer', protocol: 'bytes' })
    const { memberMetadata, memberAssignment } = described.members[0]!
    expect(decodeSubscription(memberMetadata)).toEqual({ topics: [topic], userData: Buffer.from('from the member') })
    expect(decodeAssignment(memberAssignment)).toEqual({
      partitions: generation.assignment,
      userData: generation.userData,
    })
  })

  test('the member id is stored before the group can become stable with it', async () => {
    const groupId = cluster.name('group')
    const stored: string[] = []
    let release!: () => void
    const storing = new Promise<void>((resolve) => (release = resolve))
    const member = memberOf(groupId, {
      onMemberId: async (memberId) => {
        await storing
        stored.push(memberId)
      },
    })
    const joining = member.join()
    const admin = await cluster.admin()
    for (let look = 0; look < 10; look++) {
      expect((await admin.describeGroups([groupId])).groups[0]!.state).not.toBe('Stable')
    }
    release()
    const { memberId } = await joining
    expect(stored).toEqual([memberId])
  })

  test('five members that come at once settle on one generation and share all partitions', async () => {
    const groupId = cluster.name('group')
    const all = Array.from({ length: 5 }, () => memberOf(groupId))
    await Promise.all(all.map(keepJoined))
    await until(() => settled(all), 'all are in the same generation')
    expect(partitionsOf(all)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(all.filter((member) => member.generation!.isLeader)).toHaveLength(1)
    const generationId = all[0]!.generation!.generationId
    // It stays so: no member wakes the group up again.
    const beforeMs = Math.min(...all.map((member) => member.lastHeartbeatAtMs))
    await until(() => all.every((member) => member.lastHeartbeatAtMs > beforeMs + 1000), 'everybody beats on')
    expect(settled(all) && all[0]!.generation!.generationId).toBe(generationId)
  })

  test('leave() ends a join that waits for others', async () => {
    const groupId = cluster.name('group')
    const idle = memberOf(groupId, { rebalanceTimeoutMs: 60_000 })
    await idle.join()
    const late = memberOf(groupId)
    const joining = expect(late.join()).rejects.toThrow('left')
    await until(() => idle.state === 'rebalance-needed', 'the group waits for the idle member')
    await late.leave()
    await joining
    expect(late.state).toBe('unjoined')
  })

  test('leave() at any moment of a join leaves nothing that the others wait for', async () => {
    const groupId = cluster.name('group')
    await keepJoined(memberOf(groupId))
    for (let turns = 0; turns < 40; turns += 2) {
      const hasty = memberOf(groupId)
      const joining = hasty.join().catch(() => undefined)
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      await hasty.leave()
      await joining
    }
    const next = memberOf(groupId)
    void keepJoined(next)
    // Sooner than a session ends.
    await until(() => next.state === 'stable', 'the next one has joined', 4_000)
  })

  test('close() ends it too', async () => {
    const groupId = cluster.name('group')
    const idle = memberOf(groupId, { rebalanceTimeoutMs: 60_000 })
    await idle.join()
    const late = memberOf(groupId)
    const joining = expect(late.join()).rejects.toThrow('closed')
    await until(() => idle.state === 'rebalance-needed', 'the group waits for the idle member')
    await late.close()
    await joining
  })

  test('an assignor that throws rejects the leader’s join, and the group goes on without it', async () => {
    const groupId = cluster.name('group')
    const assignor = { ...balanced(), assign: () => Promise.reject(new Error('cannot assign')) }
    await expect(memberOf(groupId, { assignor }).join()).rejects.toThrow('cannot assign')
    expect((await memberOf(groupId).join()).isLeader).toBe(true)
  })

  test('a retriable failure of the assignor makes the group join again', async () => {
    const groupId = cluster.name('group')
    let calls = 0
    const { assign } = balanced()
    const failOnce: GroupAssignor = {
      ...balanced(),
      assign: (...args) => (calls++ === 0 ? Promise.reject(KafkaError.connection('away', false)) : assign(...args)),
    }
    const generation = await memberOf(groupId, { assignor: failOnce }).join()
    expect(calls).toBe(2)
    expect(generation.assignment.get(topic)).toHaveLength(PARTITIONS)
  })
})

describe('rebalancing', () => {
  test('a second member makes the first commit with its old generation and join; both then have half', async () => {
    const groupId = cluster.name('group')
    const first = memberOf(groupId)
    const before = await first.join()
    const second = memberOf(groupId)
    const joining = keepJoined(second)
    await until(() => first.state === 'rebalance-needed', 'the first is told')
    expect(first.generation).toEqual(before)
    await commit(groupId, before)
    const [after, other] = await Promise.all([first.join(), joining])
    expect(after.generationId).toBeGreaterThan(before.generationId)
    expect(after.memberId).toBe(before.memberId)
    expect(other.generationId).toBe(after.generationId)
    expect(after.assignment.get(topic)).toHaveLength(PARTITIONS / 2)
    await expect(commit(groupId, before)).rejects.toMatchObject({ name: 'ILLEGAL_GENERATION', kind: 'fenced' })
    await commit(groupId, after)
  })

  test('a member that leaves hands over at once', async () => {
    const groupId = cluster.name('group')
    const all = [memberOf(groupId), memberOf(groupId)] as const
    await Promise.all(all.map(keepJoined))
    await until(() => settled(all), 'both are in')
    const startMs = performance.now()
    await all[0].leave()
    await until(() => settled([all[1]]), 'the other has everything')
    expect(performance.now() - startMs).toBeLessThan(3000)
  })
})

describe('losing the group', () => {
  test('an expelled member is lost at its next heartbeat, commits nothing, and comes back under a new id', async () => {
    const groupId = cluster.name('group')
    const member = memberOf(groupId)
    const states: string[] = []
    member.onChange = (state) => states.push(state)
    const before = await member.join()
    await new KafkaAdmin(client).leaveGroup(groupId, before.memberId)
    await until(() => member.state === 'lost', 'it notices')
    expect(member.generation).toBeUndefined()
    await expect(commit(groupId, before)).rejects.toMatchObject({ name: 'UNKNOWN_MEMBER_ID', kind: 'fenced' })
    const after = await member.join()
    expect(after.memberId).not.toBe(before.memberId)
    expect(states).toEqual(['joining', 'stable', 'lost', 'joining', 'stable'])
  })

  test('a member that stays away from a rebalance is lost, and the others do not wait for it twice', async () => {
    const groupId = cluster.name('group')
    const idle = memberOf(groupId, { rebalanceTimeoutMs: 1500 })
    await idle.join()
    const other = memberOf(groupId, { rebalanceTimeoutMs: 1500 })
    await keepJoined(other)
    await until(() => idle.state === 'lost', 'the idle one is told')
    await until(() => settled([other]), 'the other has everything')
  })

  test('join() returns what was joined, also when the id it knew was no longer valid', async () => {
    const groupId = cluster.name('group')
    const member = memberOf(groupId, { heartbeatIntervalMs: 5000 })
    const before = await member.join()
    const joinedAtMs = member.lastHeartbeatAtMs
    await until(() => member.lastHeartbeatAtMs > joinedAtMs, 'the first heartbeat is answered: the next is far away')
    await new KafkaAdmin(client).leaveGroup(groupId, before.memberId)
    expect(member.state).toBe('stable') // nobody told it
    const after = await member.join()
    expect(after.memberId).not.toBe(before.memberId)
    await commit(groupId, after)
    await expect(commit(groupId, before)).rejects.toMatchObject({ kind: 'fenced' })
    const { members: described } = await new KafkaAdmin(client).describeGroup(groupId)
    expect(described.map(({ memberId }) => memberId)).toEqual([after.memberId])
  })
})

describe('broken connections', () => {
  test('cost a stable member nothing: same generation, heartbeats go on', async () => {
    const groupId = cluster.name('group')
    const member = memberOf(groupId)
    const { generationId } = await member.join()
    for (let round = 0; round < 3; round++) {
      expect(cluster.cutConnections()).toBeGreaterThan(0)
      const cutAtMs = performance.now()
      await until(() => member.lastHeartbeatAtMs > cutAtMs, 'a heartbeat is answered again')
    }
    expect(member.state).toBe('stable')
    expect(member.generation?.generationId).toBe(generationId)
  })

  test('during a join are survived', async () => {
    const groupId = cluster.name('group')
    const first = memberOf(groupId)
    await first.join()
    const second = memberOf(groupId)
    const joining = keepJoined(second)
    await until(() => first.state === 'rebalance-needed', 'the join of the second waits')
    cluster.cutConnections()
    await Promise.all([keepJoined(first), joining])
    await until(() => settled([first, second]), 'both share the partitions')
  })
})
