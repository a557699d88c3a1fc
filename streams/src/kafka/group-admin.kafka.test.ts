import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { GroupAdmin } from './group-admin.js'
import { GroupMember } from './group-member.js'
import { RecordAccumulator } from './records/encode.js'
import { RealKafka } from './testing/real-kafka.js'
import { TransactionalProducer } from './transactional-producer.js'

let kafka: RealKafka
let groups: GroupAdmin
beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
  groups = new GroupAdmin(kafka.client)
})
afterEach(() => kafka.close())

function newGroup(): string {
  const groupId = kafka.name('group')
  kafka.defer(() => kafka.admin.deleteGroup(groupId))
  return groupId
}

const at = (topic: string, partition: number, offset: number, metadata = '') => ({ topic, partition, offset, metadata })

it('sets, lists and takes away the offsets of a group without members', async () => {
  const groupId = newGroup()
  const [one, two] = [await kafka.topic(2), await kafka.topic(1)]
  expect(await groups.committedOffsets(groupId)).toEqual([])
  await groups.commitOffsets(groupId, [at(one, 0, 5, 'note'), at(one, 1, 0), at(two, 0, 9)])
  const stable = { unstable: false }
  expect(await groups.committedOffsets(groupId)).toEqual(
    expect.arrayContaining([
      { ...at(one, 0, 5, 'note'), ...stable },
      { ...at(one, 1, 0), ...stable },
      { ...at(two, 0, 9), ...stable },
    ]),
  )
  await groups.deleteOffsets(groupId, [at(one, 0, 0), at(two, 0, 0), at('there-is-none', 0, 0)])
  expect(await groups.committedOffsets(groupId)).toEqual([{ ...at(one, 1, 0), ...stable }])
  await groups.deleteOffsets(kafka.name('none'), [at(one, 0, 0)])
})

it('says which offsets wait for the outcome of a transaction', async () => {
  const groupId = newGroup()
  const topic = await kafka.topic(2)
  await groups.commitOffsets(groupId, [at(topic, 0, 1), at(topic, 1, 1)])
  const txn = new TransactionalProducer(kafka.client, {
    transactionalId: kafka.name('txn'),
    transactionTimeoutMs: 10_000,
  })
  await txn.init()
  const records = new RecordAccumulator()
  records.append(topic, 0, null, Buffer.from('x'), Date.now())
  await txn.produce(records)
  await txn.sendOffsets({ groupId, generationId: -1, memberId: '' }, [at(topic, 0, 2)])
  const during = await groups.committedOffsets(groupId)
  expect(during.find(({ partition }) => partition === 0)).toMatchObject({ unstable: true, offset: -1 })
  expect(during.find(({ partition }) => partition === 1)).toMatchObject({ unstable: false, offset: 1 })
  await txn.end('abort')
  await expect
    .poll(async () => (await groups.committedOffsets(groupId)).map(({ offset }) => offset).sort())
    .toEqual([1, 1])
})

it('is refused by the broker while the group has members, and lists the group with its state', async () => {
  const groupId = newGroup()
  const topic = await kafka.topic(1)
  const member = new GroupMember(kafka.client, {
    ...{ groupId, topics: [topic], log: kafka.log },
    ...{ sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 },
    assignor: {
      name: 'test',
      userData: () => Buffer.alloc(0),
      assign: (members) =>
        Promise.resolve(
          new Map(members.map(({ memberId }) => [memberId, { partitions: new Map(), userData: Buffer.alloc(0) }])),
        ),
    },
  })
  await member.join()
  try {
    await expect(groups.commitOffsets(groupId, [at(topic, 0, 5)])).rejects.toMatchObject({ name: 'UNKNOWN_MEMBER_ID' })
    const listed = (await groups.listGroups()).find((group) => group.groupId === groupId)
    expect(listed).toEqual({ groupId, protocolType: 'consumer', state: 'Stable' })
  } finally {
    await member.leave()
    await member.close()
  }
})

it('finds offsets by time', async () => {
  const topic = await kafka.topic(1)
  const txn = new TransactionalProducer(kafka.client, {
    transactionalId: kafka.name('txn'),
    transactionTimeoutMs: 10_000,
  })
  await txn.init()
  const records = new RecordAccumulator()
  for (const timestampMs of [1000, 2000, 3000]) records.append(topic, 0, null, Buffer.from('x'), timestampMs)
  await txn.produce(records)
  await txn.end('commit')
  const offsetAt = async (timestampMs: number) =>
    (await kafka.admin.listOffsets(topic, [0], { timestampMs }, 'read_committed')).get(0)
  await expect.poll(() => offsetAt(0)).toBe(0)
  expect(await offsetAt(1001)).toBe(1)
  expect(await offsetAt(3000)).toBe(2)
  expect(await offsetAt(Date.now() + 3_600_000)).toBe(-1)
})

it('lists all topics', async () => {
  const topic = await kafka.topic(1)
  const topics = await kafka.admin.listTopics()
  expect(topics).toContain(topic)
  expect(topics).toEqual([...topics].sort())
})
