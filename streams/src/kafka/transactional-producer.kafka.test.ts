import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { KafkaError } from './errors.js'
import { GroupMember, type GroupAssignor } from './group-member.js'
import { RecordAccumulator } from './records/encode.js'
import type { RefusedRecords } from './refused-records.js'
import { PATIENT, RealKafka } from './testing/real-kafka.js'
import { TransactionalProducer } from './transactional-producer.js'

let kafka: RealKafka
beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
})
afterEach(() => kafka.close())

const NO_GROUP = { generationId: -1, memberId: '' }

function records(topic: string, values: readonly string[], partition = 0): RecordAccumulator {
  const accumulator = new RecordAccumulator()
  for (const value of values) accumulator.append(topic, partition, null, Buffer.from(value), Date.now())
  return accumulator
}

async function producer(transactionalId = kafka.name('txn')): Promise<TransactionalProducer> {
  const made = new TransactionalProducer(kafka.client, { transactionalId, transactionTimeoutMs: 10_000 })
  await made.init()
  return made
}

async function offsetsOf(groupId: string, topic: string) {
  const [offset] = await kafka.admin.committedOffsets(groupId, new Map([[topic, [0]]]), { requireStable: true })
  return offset!
}

async function failure(promise: Promise<unknown>): Promise<KafkaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KafkaError)
  return error as KafkaError
}

describe('a transaction', () => {
  it('shows its records and offsets when it is committed, and neither when it is aborted', async () => {
    const topic = await kafka.topic(2)
    const groupId = kafka.name('group')
    kafka.defer(() => kafka.admin.deleteGroup(groupId))
    const txn = await producer()
    const offset = (at: number) => [{ topic, partition: 0, offset: at, metadata: `at ${at}` }]

    const written = await txn.produce(records(topic, ['a', 'b']))
    expect(written).toEqual(new Map([[topic, new Map([[0, 2]])]]))
    await txn.produce(records(topic, ['c'], 1))
    await txn.sendOffsets({ groupId, ...NO_GROUP }, offset(10))
    expect(txn.inTransaction).toBe(true)
    expect(await kafka.values(topic, 0)).toEqual([])
    expect(await kafka.values(topic, 0, 'read_uncommitted')).toEqual(['a', 'b'])
    expect(await offsetsOf(groupId, topic)).toMatchObject({ unstable: true })
    await txn.end('commit')
    expect(txn.inTransaction).toBe(false)
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['a', 'b'])
    await expect.poll(() => kafka.values(topic, 1), PATIENT).toEqual(['c'])
    await expect
      .poll(() => offsetsOf(groupId, topic), PATIENT)
      .toMatchObject({ offset: 10, metadata: 'at 10', unstable: false })

    await txn.produce(records(topic, ['x', 'y']))
    await txn.sendOffsets({ groupId, ...NO_GROUP }, offset(20))
    await txn.end('abort')
    await txn.produce(records(topic, ['d']))
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['a', 'b', 'd'])
    await expect.poll(() => offsetsOf(groupId, topic), PATIENT).toMatchObject({ offset: 10, unstable: false })
  })

  it('may hold far more than one batch or one request takes, and keeps their order', async () => {
    const topic = await kafka.topic(2)
    const txn = await producer()
    const accumulator = new RecordAccumulator()
    const filler = 'x'.repeat(1000)
    for (let i = 0; i < 20_000; i++) accumulator.append(topic, i % 2, null, Buffer.from(`${i} ${filler}`), Date.now())
    const written = await txn.produce(accumulator)
    expect(written.get(topic)).toEqual(
      new Map([
        [0, 10_000],
        [1, 10_000],
      ]),
    )
    await txn.end('commit')
    await expect
      .poll(() => kafka.admin.listOffsets(topic, [0], 'latest', 'read_committed'), PATIENT)
      .toEqual(new Map([[0, 10_001]]))
    const numbers = (await kafka.values(topic, 0)).map((value) => Number(value.split(' ')[0]))
    expect(numbers).toEqual(Array.from({ length: 10_000 }, (_, index) => index * 2))
  })

  it('can follow right upon another: the broker’s CONCURRENT_TRANSACTIONS is waited out', async () => {
    const topic = await kafka.topic(1)
    const txn = await producer()
    for (let i = 0; i < 30; i++) {
      await txn.produce(records(topic, [`${i}`]))
      await txn.end('commit')
    }
    await expect
      .poll(() => kafka.values(topic, 0), PATIENT)
      .toEqual(Array.from({ length: 30 }, (_, index) => `${index}`))
  })

  it('refuses records that no broker takes, names them fatal, and works again after abort and init', async () => {
    const topic = await kafka.topic(1, { 'max.message.bytes': '5000' })
    const txn = await producer()
    const error = await failure(txn.produce(records(topic, Array<string>(100).fill('x'.repeat(100)))))
    expect(error).toMatchObject({ name: 'MESSAGE_TOO_LARGE', kind: 'fatal', concerns: { topic, partition: 0 } })
    expect(await failure(txn.produce(records(topic, ['small'])))).toMatchObject({ name: 'INVALID_TXN_STATE' })
    expect(await failure(txn.end('commit'))).toMatchObject({ name: 'INVALID_TXN_STATE' })
    await txn.end('abort')
    await txn.init()
    await txn.produce(records(topic, ['small']))
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['small'])
  })

  it('goes on without the records that no broker takes, which are singled out, when somebody decides about them', async () => {
    const topic = await kafka.topic(2, { 'max.message.bytes': '5000' })
    const txn = await producer()
    const small = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(100)}`)
    const accumulator = records(topic, [...small.slice(0, 100), 'y'.repeat(6_000), ...small.slice(100)])
    accumulator.append(topic, 1, null, Buffer.from('other partition'), Date.now())
    const refused: RefusedRecords[] = []
    const written = await txn.produce(accumulator, (one) => void refused.push(one))
    expect(refused).toMatchObject([{ topic, partition: 0, error: { name: 'MESSAGE_TOO_LARGE' } }])
    expect(refused[0]!.records.map(({ value }) => value!.length)).toEqual([6_000])
    expect(written.get(topic)?.get(0)).toBe(300)
    await txn.produce(records(topic, ['after']))
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual([...small, 'after'])
  })

  it('takes the broker’s word for which records are at fault', async () => {
    const topic = await kafka.topic(1, { 'message.timestamp.after.max.ms': '60000' })
    const txn = await producer()
    const accumulator = new RecordAccumulator()
    for (let n = 0; n < 10; n++) {
      accumulator.append(topic, 0, null, Buffer.from(`${n}`), Date.now() + (n % 4 === 3 ? 3_600_000 : 0))
    }
    const refused: RefusedRecords[] = []
    await txn.produce(accumulator, (one) => void refused.push(one))
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatchObject({ error: { name: 'INVALID_TIMESTAMP' } })
    expect(refused[0]!.records.map(({ value }) => value!.toString())).toEqual(['3', '7'])
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['0', '1', '2', '4', '5', '6', '8', '9'])
  })

  it('goes on without a topic that is not there any more, and fails with what who decides throws', async () => {
    const topic = await kafka.topic(1)
    const gone = kafka.name('gone')
    const txn = new TransactionalProducer(kafka.client, {
      transactionalId: kafka.name('txn'),
      transactionTimeoutMs: 2_000,
    })
    await txn.init()
    const accumulator = records(topic, ['a'])
    accumulator.append(gone, 0, null, Buffer.from('lost'), Date.now())
    const refused: RefusedRecords[] = []
    await txn.produce(accumulator, (one) => void refused.push(one))
    expect(refused).toMatchObject([{ topic: gone, error: { name: 'UNKNOWN_TOPIC_OR_PARTITION' } }])
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['a'])
    const stop = new Error('stop')
    const refusing = txn.produce(records(gone, ['b']), () => {
      throw stop
    })
    await expect(refusing).rejects.toBe(stop)
    expect(await failure(txn.end('commit'))).toMatchObject({ name: 'INVALID_TXN_STATE' })
  })

  it('goes on when connections are cut between its steps', async () => {
    const topic = await kafka.topic(1)
    const txn = await producer()
    await txn.produce(records(topic, ['a']))
    await kafka.cutConnections()
    await txn.produce(records(topic, ['b']))
    await kafka.cutConnections()
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['a', 'b'])
  })

  it('writes records once when the connection is cut while they are on their way', async () => {
    const topic = await kafka.topic(1)
    const txn = await producer()
    await txn.produce(records(topic, ['first']))
    const values = Array.from({ length: 20_000 }, (_, index) => `${index} ${'x'.repeat(200)}`)
    const producing = txn.produce(records(topic, values))
    const cutting = setInterval(() => void kafka.cutConnections(), 15)
    setTimeout(() => clearInterval(cutting), 120)
    const written = await producing
    clearInterval(cutting)
    expect(written.get(topic)?.get(0)).toBe(values.length + 1)
    await txn.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['first', ...values])
  })

  it('says that the outcome is unknown when the answer to the commit is lost, and init() settles it', async () => {
    const topic = await kafka.topic(1)
    const txn = await producer()
    let unknown = 0
    for (let i = 0; unknown < 2 && i < 200; i++) {
      await txn.produce(records(topic, [`${i}`]))
      const ending = txn.end('commit')
      // The request leaves within this turn or the next ones; cut at a different moment each time.
      for (let turn = 0; turn < i % 8; turn++) await new Promise((resolve) => setImmediate(resolve))
      void kafka.cutConnections()
      const error = await ending.then(
        () => undefined,
        (reason: KafkaError) => reason,
      )
      if (error === undefined) continue
      expect(error).toMatchObject({ name: 'CONNECTION', kind: 'retriable', outcomeUnknown: true })
      unknown++
      await txn.init()
      // Committed or aborted, but decided: nothing holds the last stable offset back.
      const end = (isolation: 'read_committed' | 'read_uncommitted') =>
        kafka.admin.listOffsets(topic, [0], 'latest', isolation)
      expect(await end('read_committed')).toEqual(await end('read_uncommitted'))
    }
    expect(unknown).toBe(2)
  })
})

describe('who lost its place', () => {
  it('is fenced when somebody else takes the transactional id', async () => {
    const topic = await kafka.topic(1)
    const transactionalId = kafka.name('txn')
    const older = await producer(transactionalId)
    await older.produce(records(topic, ['older']))
    const younger = await producer(transactionalId)
    expect(await failure(older.produce(records(topic, ['older again'])))).toMatchObject({ kind: 'fenced' })
    expect(await failure(older.end('abort'))).toMatchObject({ kind: 'fenced', outcomeUnknown: false })
    await younger.produce(records(topic, ['younger']))
    await younger.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['younger'])
    await older.init()
    await older.produce(records(topic, ['back']))
    await older.end('commit')
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['younger', 'back'])
  })

  it('is fenced at the commit too, and then nothing of it is visible', async () => {
    const topic = await kafka.topic(1)
    const transactionalId = kafka.name('txn')
    const dead = await producer(transactionalId)
    await dead.produce(records(topic, ['of the dead']))
    await TransactionalProducer.fence(kafka.client, transactionalId)
    // The last stable offset is free again: the open transaction was aborted.
    await expect
      .poll(() => kafka.admin.listOffsets(topic, [0], 'latest', 'read_committed'), PATIENT)
      .toEqual(await kafka.admin.listOffsets(topic, [0], 'latest', 'read_uncommitted'))
    expect(await failure(dead.end('commit'))).toMatchObject({ kind: 'fenced', outcomeUnknown: false })
    expect(await kafka.values(topic, 0)).toEqual([])
  })

  it('cannot commit offsets with another generation or after it was expelled from the group', async () => {
    const topic = await kafka.topic(1)
    const groupId = kafka.name('group')
    const member = new GroupMember(kafka.client, {
      groupId,
      topics: [topic],
      assignor: everythingToEach(topic),
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      heartbeatIntervalMs: 1000,
      log: kafka.log,
    })
    kafka.defer(async () => {
      await member.close()
      await kafka.admin.deleteGroup(groupId)
    })
    const { generationId, memberId } = await member.join()
    const described = await kafka.admin.describeGroup(groupId)
    expect(described).toMatchObject({ state: 'Stable', protocol: 'test', members: [{ memberId }] })

    const txn = await producer()
    const commitAs = async (standing: { generationId: number; memberId: string }, offset: number) => {
      await txn.produce(records(topic, [`at ${offset}`]))
      await txn.sendOffsets({ groupId, ...standing }, [{ topic, partition: 0, offset, metadata: '' }])
      await txn.end('commit')
    }
    const refused = async (standing: { generationId: number; memberId: string }) => {
      const error = await failure(commitAs(standing, 99))
      await txn.end('abort')
      await txn.init()
      return error
    }
    await commitAs({ generationId, memberId }, 1)
    expect(await refused({ generationId: generationId + 1, memberId })).toMatchObject({
      name: 'ILLEGAL_GENERATION',
      kind: 'fenced',
    })
    await kafka.admin.leaveGroup(groupId, memberId)
    expect(await refused({ generationId, memberId })).toMatchObject({ name: 'UNKNOWN_MEMBER_ID', kind: 'fenced' })
    await expect.poll(() => offsetsOf(groupId, topic), PATIENT).toMatchObject({ offset: 1 })
    await expect.poll(() => kafka.values(topic, 0), PATIENT).toEqual(['at 1'])
  })
})

function everythingToEach(topic: string): GroupAssignor {
  const share = { partitions: new Map([[topic, [0]]]), userData: Buffer.alloc(0) }
  return {
    name: 'test',
    userData: () => Buffer.alloc(0),
    assign: (members) => Promise.resolve(new Map(members.map(({ memberId }) => [memberId, share]))),
  }
}
