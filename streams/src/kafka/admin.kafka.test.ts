import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { PATIENT, RealKafka } from './testing/real-kafka.js'

let kafka: RealKafka
beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
})
afterEach(() => kafka.close())

it('creates what is missing, accepts what is there, and refuses another number of partitions', async () => {
  const [one, two] = [kafka.name('one'), kafka.name('two')]
  kafka.defer(() => kafka.admin.deleteTopics([one, two]))
  expect(await kafka.admin.createTopics([{ name: one, partitions: 3, config: { 'retention.ms': '60000' } }])).toEqual([
    one,
  ])
  const specs = [one, two].map((name) => ({ name, partitions: 3, replicationFactor: 1 }))
  expect(await kafka.admin.createTopics(specs)).toEqual([two])
  expect(await kafka.admin.createTopics(specs)).toEqual([])
  await expect(kafka.admin.createTopics([{ name: one, partitions: 4 }])).rejects.toThrow(
    /INVALID_PARTITIONS .*it has 3 partitions and 4 are configured.*Configure 3, or make a new topic/,
  )
})

it('lets several processes create the same topics at once', async () => {
  const name = kafka.name('raced')
  kafka.defer(() => kafka.admin.deleteTopics([name]))
  const created = await Promise.all([1, 2, 3].map(() => kafka.admin.createTopics([{ name, partitions: 2 }])))
  expect(created.flat()).toEqual([name])
})

it('says what the broker says about a setting it does not know', async () => {
  const bad = { name: kafka.name('bad'), partitions: 1, config: { 'retention.mz': '1' } }
  await expect(kafka.admin.createTopics([bad])).rejects.toMatchObject({ name: 'INVALID_CONFIG', kind: 'fatal' })
})

it('tells a topic from another that was made under its name', async () => {
  const name = await kafka.topic(2)
  const [before] = await kafka.admin.describeTopics([name, 'there-is-none'])
  expect(before).toMatchObject({ name, partitions: 2 })
  expect(before?.topicId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(kafka.client.topicId(name)).toBe(before?.topicId)
  await kafka.admin.deleteTopics([name])
  await expect.poll(() => kafka.admin.describeTopics([name]), PATIENT).toEqual([])
  await kafka.admin.createTopics([{ name, partitions: 2 }])
  const [after] = await kafka.admin.describeTopics([name])
  expect(after?.topicId).not.toBe(before?.topicId)
})

it('names the topics that are missing, and goes on watching the others', async () => {
  const topic = await kafka.topic(2)
  await expect(kafka.client.watchTopics([topic, 'missing-a', 'missing-b'])).rejects.toMatchObject({
    name: 'UNKNOWN_TOPIC_OR_PARTITION',
    concerns: { topic: 'missing-a, missing-b' },
  })
  await kafka.client.refreshMetadata()
  expect(kafka.client.partitionCount(topic)).toBe(2)
  expect(() => kafka.client.partitionCount('missing-a')).toThrow(/UNKNOWN_TOPIC_OR_PARTITION \(topic missing-a\)/)
  await expect(kafka.client.leaderOf(topic, 7)).rejects.toMatchObject({ name: 'UNKNOWN_TOPIC_OR_PARTITION' })
})

it('lists the ends of partitions', async () => {
  const topic = await kafka.topic(2)
  expect(await kafka.admin.listOffsets(topic, [0, 1], 'latest', 'read_committed')).toEqual(
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  expect(await kafka.admin.listOffsets(topic, [1], 'earliest', 'read_uncommitted')).toEqual(new Map([[1, 0]]))
})

it('answers for groups that do not exist, and does not mind leaving or deleting them', async () => {
  const groupId = kafka.name('none')
  const topic = await kafka.topic(1)
  expect(await kafka.admin.describeGroup(groupId)).toEqual({ state: 'Dead', protocol: '', members: [] })
  const committed = await kafka.admin.committedOffsets(groupId, new Map([[topic, [0]]]), { requireStable: true })
  expect(committed).toEqual([{ topic, partition: 0, offset: -1, metadata: '', unstable: false }])
  await kafka.admin.leaveGroup(groupId, 'nobody')
  await kafka.admin.deleteGroup(groupId)
})
