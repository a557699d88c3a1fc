import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { KafkaClient } from '../kafka/client.js'
import type { AssignableMember, MemberAssignment } from '../kafka/group-generation.js'
import { KeptLog } from '../kafka/testing/test-cluster.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import {
  decodeAssignmentMap,
  decodeMemberMetadata,
  encodeMetadata,
  type MemberMetadata,
  type SubTopologyMetadata,
} from './group-metadata.js'
import { createAssignor, type LeaderOptions } from './leader.js'

/** Node's promised timers are not among those that can be faked. */
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, _: undefined, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(new Error('aborted'))
      })
    }),
}))

const GENERATION = 7
/** Two topics read together and two stores; and a part without state. */
const TOPOLOGY: SubTopologyMetadata[] = [
  { id: 0, partitions: 2, sourceTopics: ['trades', 'quotes'], stores: ['sums', 'counts'] },
  { id: 1, partitions: 2, sourceTopics: ['orders'], stores: [] },
]
const OTHER_TOPOLOGY: SubTopologyMetadata[] = [{ id: 0, partitions: 2, sourceTopics: ['trades'], stores: ['sums'] }]

const told = (instance: string, changes: Partial<MemberMetadata> = {}): MemberMetadata => ({
  v: 2,
  instance,
  transactionalId: `app-${instance}`,
  endpoint: `http://${instance}`,
  startedAtMs: 1,
  topology: TOPOLOGY,
  running: [],
  standing: [],
  positions: {},
  knownTransactionalIds: [],
  ...changes,
})

const member = (instance: string, changes: Partial<MemberMetadata> = {}, memberId = `${instance}-id`) => {
  return { memberId, topics: [], userData: encodeMetadata(told(instance, changes)) }
}

/** By changelog: where each of its partitions begins and ends. */
type Changelogs = Record<string, { earliest: number; latest: number }>

function leaderOf({ changelogs = {} as Changelogs, acceptableLag = 0, metadata = told('a') } = {}) {
  const log = new KeptLog()
  const closing = new AbortController()
  const listOffsets = vi.fn<LeaderOptions['admin']['listOffsets']>(async (topic, partitions, at) => {
    const { earliest, latest } = changelogs[topic] ?? { earliest: 0, latest: 0 }
    return new Map(partitions.map((partition) => [partition, at === 'earliest' ? earliest : latest]))
  })
  const { userData, assign } = createAssignor({
    client: { closing: closing.signal } as KafkaClient,
    admin: { listOffsets },
    log,
    applicationId: 'app',
    assignor: { standbyReplicas: 0, acceptableLag },
    sessionTimeoutMs: 10_000,
    metadata: () => metadata,
  })
  return {
    log,
    closing,
    listOffsets,
    userData,
    assign: (...members: AssignableMember[]) => assign(members, GENERATION),
  }
}

/** What everybody is told. */
const mapIn = (assigned: ReadonlyMap<string, MemberAssignment>) =>
  decodeAssignmentMap([...assigned.values()][0]!.userData)!

const partitionsOf = (assigned: ReadonlyMap<string, MemberAssignment>, memberId: string) =>
  Object.fromEntries(assigned.get(memberId)!.partitions)

/** With fake timers. */
async function settled(work: Promise<unknown>): Promise<boolean> {
  let done = false
  void work.then(() => (done = true))
  await vi.advanceTimersByTimeAsync(0)
  return done
}

const fence = vi.spyOn(TransactionalProducer, 'fence')
beforeEach(() => void fence.mockReset().mockResolvedValue())
afterEach(() => void vi.useRealTimers())

describe('what the leader decides', () => {
  it('is told to everybody in the same words, and each member reads the partitions of its own tasks', async () => {
    const assigned = await leaderOf().assign(member('a', { running: ['0_0', '1_0'] }), member('b'))
    expect(assigned.get('b-id')!.userData).toEqual(assigned.get('a-id')!.userData)
    expect(mapIn(assigned)).toMatchObject({
      generation: GENERATION,
      subTopologies: TOPOLOGY,
      rejected: [],
      strangers: [],
      members: [
        {
          ...{ memberId: 'a-id', instance: 'a', endpoint: 'http://a', transactionalId: 'app-a' },
          ...{ active: ['0_0', '1_0'], standby: [], warmup: [] },
        },
        { memberId: 'b-id', active: ['0_1', '1_1'] },
      ],
    })
    expect(partitionsOf(assigned, 'a-id')).toEqual({ trades: [0], quotes: [0], orders: [0] })
    expect(partitionsOf(assigned, 'b-id')).toEqual({ trades: [1], quotes: [1], orders: [1] })
  })

  it('has an epoch of its own each time, so that one assignment does not pass for another', async () => {
    const { assign } = leaderOf()
    const maps = [mapIn(await assign(member('a'))), mapIn(await assign(member('a')))]
    expect(maps[0]!.epoch).not.toBe(maps[1]!.epoch)
  })

  it('gives nothing to a member that is no instance of this application, and warns of it', async () => {
    const { assign, log } = leaderOf()
    const assigned = await assign(member('a'), { memberId: 'alien', topics: [], userData: Buffer.from('nonsense') })
    expect(partitionsOf(assigned, 'alien')).toEqual({})
    expect(mapIn(assigned).members).toMatchObject([{ memberId: 'a-id', active: ['0_0', '0_1', '1_0', '1_1'] }])
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { memberId: 'alien' } }])
  })

  it('takes nothing from those that run although a new process with another topology claims to be older', async () => {
    const runs = member('a', { startedAtMs: 2, running: ['0_0'] })
    const wrongClock = member('b', { startedAtMs: 1, topology: OTHER_TOPOLOGY })
    const assigned = await leaderOf().assign(wrongClock, runs)
    expect(mapIn(assigned)).toMatchObject({ strangers: ['b-id'], members: [{ memberId: 'a-id' }] })
  })

  it('gives no task to who has another topology than the oldest member, as long as that one is there', async () => {
    const newer = member('a', { startedAtMs: 2, topology: OTHER_TOPOLOGY })
    const newest = member('b', { startedAtMs: 3, topology: OTHER_TOPOLOGY })
    const oldest = member('c', { startedAtMs: 1 })
    const { assign } = leaderOf()
    const assigned = await assign(newer, oldest, newest)
    expect(mapIn(assigned)).toMatchObject({
      subTopologies: TOPOLOGY,
      strangers: ['a-id', 'b-id'],
      members: [{ memberId: 'c-id', active: ['0_0', '0_1', '1_0', '1_1'] }],
    })
    expect([partitionsOf(assigned, 'a-id'), partitionsOf(assigned, 'b-id')]).toEqual([{}, {}])
    expect(mapIn(await assign(newer, newest))).toMatchObject({
      subTopologies: OTHER_TOPOLOGY,
      strangers: [],
      members: [{ active: ['0_0'] }, { active: ['0_1'] }],
    })
  })

  it('turns away the younger of two processes with one instance id', async () => {
    const assigned = await leaderOf().assign(
      member('a', { startedAtMs: 2 }, 'younger'),
      member('a', { startedAtMs: 1 }, 'older'),
    )
    expect(mapIn(assigned)).toMatchObject({
      rejected: ['younger'],
      members: [{ memberId: 'older', active: ['0_0', '0_1', '1_0', '1_1'] }],
    })
    expect(partitionsOf(assigned, 'younger')).toEqual({})
  })
})

describe('a task', () => {
  const changelogs: Changelogs = {
    'app-sums-changelog': { earliest: 900, latest: 1_000 },
    'app-counts-changelog': { earliest: 300, latest: 400 },
  }
  /** What becomes of the second of two tasks, which one member runs both, when another one joins. */
  async function moved(acceptableLag: number, positions: Record<string, number>) {
    const leader = leaderOf({ changelogs, acceptableLag })
    const topology = TOPOLOGY.slice(0, 1)
    const assigned = await leader.assign(
      member('a', { topology, running: ['0_0', '0_1'] }),
      member('b', { topology, positions }),
    )
    const { active, warmup } = mapIn(assigned).members.find(({ instance }) => instance === 'b')!
    expect(leader.listOffsets.mock.calls.map(([, , , isolation]) => isolation)).not.toContain('read_committed')
    return active.includes('0_1') ? 'at once' : warmup.includes('0_1') ? 'after a warm-up' : 'not'
  }

  it('moves at once to a member whose state lacks no more than is acceptable up to the ends of all its changelogs', async () => {
    expect(await moved(50, { '0_1': 1_400 - 50 })).toBe('at once')
    expect(await moved(50, { '0_1': 1_400 - 51 })).toBe('after a warm-up')
  })

  it('moves at once to a member without its state only where its changelogs have no more records than that', async () => {
    expect(await moved(200, {})).toBe('at once')
    expect(await moved(199, {})).toBe('after a warm-up')
  })

  it('goes to whose state is furthest when no broker tells for a third of a session where its changelogs end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { assign, listOffsets, log } = leaderOf()
    listOffsets.mockReturnValue(new Promise(() => undefined))
    const topology = [{ ...TOPOLOGY[0]!, partitions: 1 }]
    const assigned = assign(
      member('a', { topology }),
      member('b', { topology, positions: { '0_0': 400 } }),
      member('c', { topology, positions: { '0_0': 500 } }),
    )
    await vi.advanceTimersByTimeAsync(3_332)
    expect(await settled(assigned)).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await settled(assigned)).toBe(true)
    expect(mapIn(await assigned).members.map(({ active }) => active)).toEqual([[], [], ['0_0']])
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { reason: 'no answer within 3333 ms' } }])
  })
})

describe('who joins', () => {
  it('tells the leader what it has', () => {
    const metadata = told('a', { running: ['0_0'], standing: ['0_1'], positions: { '0_0': 5, '0_1': 6 } })
    expect(decodeMemberMetadata(leaderOf({ metadata }).userData({ expelled: false }))).toEqual(metadata)
  })

  it('tells no task as its own after it was expelled, because others may have gone on with them, but keeps its state', () => {
    const metadata = told('a', { running: ['0_0'], standing: ['0_1'], positions: { '0_0': 5, '0_1': 6 } })
    expect(decodeMemberMetadata(leaderOf({ metadata }).userData({ expelled: true }))).toEqual({
      ...metadata,
      running: [],
    })
  })
})

describe('an instance that is gone', () => {
  const everybody = ['app-a', 'app-b', 'app-c', 'app-d', 'app-gone']

  it('is fenced once, and nobody who is alive: not under another member id, not turned away, not as a stranger', async () => {
    await leaderOf().assign(
      member('a', { knownTransactionalIds: everybody }, 'a-id-after-a-restart'),
      member('b', { knownTransactionalIds: everybody }),
      member('b', { startedAtMs: 2 }),
      member('c', { startedAtMs: 2, topology: OTHER_TOPOLOGY }),
      member('d'),
    )
    expect(fence.mock.calls.map(([, transactionalId]) => transactionalId)).toEqual(['app-gone'])
  })

  it('is fenced before anybody is given its tasks', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let fenced = () => undefined as void
    fence.mockReturnValue(new Promise((resolve) => (fenced = resolve)))
    const assigned = leaderOf().assign(member('a', { knownTransactionalIds: everybody }))
    expect(await settled(assigned)).toBe(false)
    fenced()
    expect(await settled(assigned)).toBe(true)
  })

  it('holds nobody up when it cannot be fenced', async () => {
    fence.mockRejectedValue(new Error('no answer'))
    const { assign, log } = leaderOf()
    await assign(member('a', { knownTransactionalIds: ['app-gone'] }))
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { transactionalId: 'app-gone', reason: 'no answer' } }])
  })

  it('is waited for a third of a session when its fencing hangs, and it may come back after that: no try goes on', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    // Node's own timers are not among those that can be faked.
    vi.spyOn(AbortSignal, 'timeout').mockImplementationOnce((ms) => {
      const timeout = new AbortController()
      setTimeout(() => timeout.abort(), ms)
      return timeout.signal
    })
    fence.mockReturnValue(new Promise(() => undefined))
    const assigned = leaderOf().assign(member('a', { knownTransactionalIds: ['app-gone'] }))
    await vi.advanceTimersByTimeAsync(3_332)
    const signal = fence.mock.calls[0]![2]!
    expect([await settled(assigned), signal.aborted]).toEqual([false, false])
    await vi.advanceTimersByTimeAsync(1)
    expect([await settled(assigned), signal.aborted]).toEqual([true, true])
  })

  it('is not waited for by a leader that closes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    fence.mockReturnValue(new Promise(() => undefined))
    const { assign, closing } = leaderOf()
    const assigned = assign(member('a', { knownTransactionalIds: ['app-gone'] }))
    expect(await settled(assigned)).toBe(false)
    closing.abort()
    expect(await settled(assigned)).toBe(true)
  })
})
