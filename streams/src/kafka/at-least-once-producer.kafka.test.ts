import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { AtLeastOnceProducer } from './at-least-once-producer.js'
import { produce } from './protocol/produce.js'
import { stampBatch } from './records/batch.js'
import { RecordAccumulator } from './records/encode.js'
import type { RefusedRecords } from './refused-records.js'
import { RealKafka } from './testing/real-kafka.js'
import { TransactionalProducer } from './transactional-producer.js'

let kafka: RealKafka
beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
})
afterEach(() => kafka.close())

const NO_GROUP = { generationId: -1, memberId: '' }

function records(topic: string, values: readonly string[]): RecordAccumulator {
  const accumulator = new RecordAccumulator()
  for (const value of values) accumulator.append(topic, 0, null, Buffer.from(value), Date.now())
  return accumulator
}

function createProducer(options: { transactionalId?: string; ownedUntilMs?: () => number } = {}): AtLeastOnceProducer {
  return new AtLeastOnceProducer(kafka.client, {
    transactionalId: kafka.name('txn'),
    timeoutMs: 10_000,
    ownedUntilMs: () => Number.POSITIVE_INFINITY,
    ...options,
  })
}

describe('a producer at least once', () => {
  it('shows records once they are written and offsets once they are committed, with no transaction', async () => {
    const topic = await kafka.topic(1)
    const groupId = kafka.name('group')
    kafka.defer(() => kafka.admin.deleteGroup(groupId))
    const producer = createProducer()
    await producer.init()
    expect(await producer.produce(records(topic, ['a', 'b']))).toEqual(new Map([[topic, new Map([[0, 2]])]]))
    expect(await producer.produce(records(topic, ['c']))).toEqual(new Map([[topic, new Map([[0, 3]])]]))
    expect(await kafka.values(topic, 0)).toEqual(['a', 'b', 'c'])
    await producer.sendOffsets({ groupId, ...NO_GROUP }, [{ topic, partition: 0, offset: 7, metadata: 'm' }])
    const [offset] = await kafka.admin.committedOffsets(groupId, new Map([[topic, [0]]]), { requireStable: true })
    expect(offset).toMatchObject({ offset: 7, metadata: 'm', unstable: false })
    const stale = { groupId, generationId: 3, memberId: 'gone' }
    await expect(producer.sendOffsets(stale, [{ topic, partition: 0, offset: 9, metadata: '' }])).rejects.toMatchObject(
      { kind: 'fenced' },
    )
  })

  it('writes nothing once the group may have gone on without it', async () => {
    const topic = await kafka.topic(1)
    let ownedUntilMs = performance.now() + 60_000
    const producer = createProducer({ ownedUntilMs: () => ownedUntilMs })
    await producer.init()
    await producer.produce(records(topic, ['a']))
    ownedUntilMs = performance.now() - 1
    await expect(producer.produce(records(topic, ['late']))).rejects.toMatchObject({ name: 'UNKNOWN_MEMBER_ID' })
    expect(await kafka.values(topic, 0)).toEqual(['a'])
  })

  it('a request of before a failure that arrives late is refused where the new epoch has written', async () => {
    const topic = await kafka.topic(1)
    const producer = createProducer()
    // What it says of itself, as a request of the first epoch would have.
    let producerId = -1n
    const { send } = kafka.client
    kafka.client.send = async function (this: typeof kafka.client, ...args: Parameters<typeof send>) {
      const answer = await send.apply(this, args)
      if (args[1].name === 'InitProducerId') ({ producerId } = answer as { producerId: bigint })
      return answer
    } as typeof send
    await producer.init()
    const old = records(topic, ['old'])
    const { batches } = old.seal()[0]!
    await producer.produce(records(topic, ['a']))
    await producer.init()
    await producer.produce(records(topic, ['b']))
    stampBatch(batches[0]!, { producerId, producerEpoch: 0, sequence: 1, transactional: false })
    const leader = await kafka.client.leaderOf(topic, 0)
    const late = produce({ transactionalId: null, timeoutMs: 5_000, batches: [{ topic, partition: 0, bytes: batches[0]!.bytes }] }) // prettier-ignore
    const { partitions } = await kafka.client.send(leader, late)
    expect(partitions[0]!.errorCode, 'INVALID_PRODUCER_EPOCH').toBe(47)
    expect(await kafka.values(topic, 0)).toEqual(['a', 'b'])
  })

  it('goes on without what no broker takes, when somebody decides about it', async () => {
    const topic = await kafka.topic(1, { 'max.message.bytes': '2000' })
    const producer = createProducer()
    await producer.init()
    const refused: RefusedRecords[] = []
    await producer.produce(records(topic, ['a', 'x'.repeat(3_000), 'b']), (one) => void refused.push(one))
    expect(refused.flatMap((one) => one.records).map(({ value }) => value!.length)).toEqual([3_000])
    expect(await kafka.values(topic, 0)).toEqual(['a', 'b'])
  })

  it('ends the transaction that its predecessor has left open', async () => {
    const topic = await kafka.topic(1)
    const transactionalId = kafka.name('txn')
    const former = new TransactionalProducer(kafka.client, { transactionalId, transactionTimeoutMs: 60_000 })
    await former.init()
    await former.produce(records(topic, ['open']))
    expect(await kafka.isDecided(topic, 0)).toBe(false)
    await createProducer({ transactionalId }).init()
    await expect.poll(() => kafka.isDecided(topic, 0)).toBe(true)
    expect(await kafka.values(topic, 0)).toEqual([])
  })
})
