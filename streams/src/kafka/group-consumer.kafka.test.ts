import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { KafkaAdmin } from './admin.js'
import type { KafkaClient } from './client.js'
import type { FetchedChunk } from './fetched-chunk.js'
import { GroupConsumer, type GroupConsumerOptions } from './group-consumer.js'
import { KeptLog, TestCluster, until, valuesOf } from './testing/test-cluster.js'

let cluster: TestCluster
let client: KafkaClient
let admin: KafkaAdmin
const consumers: GroupConsumer[] = []

beforeAll(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  client = cluster.client()
  await client.connect()
  admin = new KafkaAdmin(client)
})
afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.close()))
})
afterAll(() => cluster.close())

/** What one consumer was given, in order. */
interface Handled {
  consumer: GroupConsumer
  log: KeptLog
  values: string[]
  running: Promise<void>
}

type Handle = (chunk: FetchedChunk, signal: AbortSignal) => Promise<void>

/** Starts a consumer; a value counts as handled when `handle` resolved for it. */
function consume(
  topic: string,
  groupId: string,
  options: Partial<GroupConsumerOptions> = {},
  handle?: Handle,
): Handled {
  const values: string[] = []
  const log = new KeptLog()
  const consumer = new GroupConsumer(client, {
    groupId,
    topics: [topic],
    startAt: 'earliest',
    isolation: 'read_committed',
    sessionTimeoutMs: 6000,
    rebalanceTimeoutMs: 6000,
    commitIntervalMs: 20,
    log,
    ...options,
    handle: async (chunk, signal) => {
      await handle?.(chunk, signal)
      values.push(...valuesOf(chunk))
    },
  })
  consumers.push(consumer)
  return { consumer, log, values, running: consumer.run() }
}

async function committed(groupId: string, topic: string, partitions: number): Promise<number[]> {
  const wanted = new Map([[topic, Array.from({ length: partitions }, (_, partition) => partition)]])
  const offsets = await admin.committedOffsets(groupId, wanted, { requireStable: true })
  return offsets.sort((a, b) => a.partition - b.partition).map(({ offset }) => offset)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + Math.max(0, number), 0)
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}

/** The values that `prefix` begins, in the order in which they were handled. */
function of(prefix: string, values: readonly string[]): string[] {
  return values.filter((value) => value.startsWith(prefix))
}

describe('offsets', () => {
  test('are committed after handle() resolved, never before', async () => {
    const topic = await cluster.topic(1)
    const groupId = cluster.name('group')
    await cluster.send(topic, 0, numbered('a', 10))
    let release!: () => void
    const held = new Promise<void>((resolve) => (release = resolve))
    let begun = false
    const { values } = consume(topic, groupId, {}, async () => {
      begun = true
      await held
    })
    await until(() => begun, 'handle() was called')
    for (let look = 0; look < 20; look++) expect((await committed(groupId, topic, 1))[0]).toBeLessThanOrEqual(0)
    release()
    await until(async () => (await committed(groupId, topic, 1))[0] === 10, 'the offset is committed')
    expect(values).toEqual(numbered('a', 10))
  })

  test('a partition without one begins at the end for `latest`, and that is committed before anything comes', async () => {
    const topic = await cluster.topic(1)
    const groupId = cluster.name('group')
    await cluster.send(topic, 0, numbered('old', 5))
    const first = consume(topic, groupId, { startAt: 'latest' })
    await until(async () => (await committed(groupId, topic, 1))[0] === 5, 'the start is committed')
    await first.consumer.close()
    await cluster.send(topic, 0, ['between'])
    const second = consume(topic, groupId, { startAt: 'latest' })
    await until(() => second.values.length > 0, 'what came in between is handled')
    expect([...first.values, ...second.values]).toEqual(['between'])
  })

  test('close() commits what was handled and leaves: the next one goes on there at once', async () => {
    const topic = await cluster.topic(2)
    const groupId = cluster.name('group')
    for (const partition of [0, 1]) await cluster.send(topic, partition, numbered(`${partition}-`, 50))
    const first = consume(topic, groupId, { commitIntervalMs: 60_000 })
    await until(() => first.values.length === 100, 'all is handled')
    await first.consumer.close()
    await first.running
    expect(await committed(groupId, topic, 2)).toEqual([50, 50])
    const startMs = performance.now()
    await cluster.send(topic, 0, ['more'])
    const second = consume(topic, groupId)
    await until(() => second.values.length > 0, 'the next one goes on')
    expect(second.values).toEqual(['more'])
    expect(performance.now() - startMs).toBeLessThan(4000)
  })

  test('that the log no longer has are told loudly, and what is left is handled', async () => {
    const topic = await cluster.topic(1)
    const groupId = cluster.name('group')
    await cluster.send(topic, 0, numbered('a', 10))
    const first = consume(topic, groupId)
    await until(() => first.values.length === 10, 'all is handled')
    await first.consumer.close()
    await cluster.send(topic, 0, numbered('b', 10))
    await cluster.deleteRecords(topic, 0, 15)
    const second = consume(topic, groupId)
    await until(() => second.values.length === 5, 'what is left is handled')
    expect(second.values).toEqual(['b5', 'b6', 'b7', 'b8', 'b9'])
    const [line] = second.log.lines.filter(({ level }) => level === 'error')
    expect(line?.fields).toMatchObject({ topic, partition: 0, position: 10, logStart: 15, missing: 5 })
  })
})

describe('order and concurrency', () => {
  test('chunks of one partition follow one another, as many partitions at once as allowed', async () => {
    const topic = await cluster.topic(6)
    const groupId = cluster.name('group')
    for (let round = 0; round < 5; round++) {
      for (let partition = 0; partition < 6; partition++) {
        await cluster.send(topic, partition, [`${partition}/${round}`, 'x'.repeat(10_000)])
      }
    }
    const active = new Set<number>()
    let most = 0
    const options = { maxConcurrentPartitions: 3, maxBufferedBytes: 100_000 }
    const { values } = consume(topic, groupId, options, async ({ partition }) => {
      expect(active.has(partition)).toBe(false)
      active.add(partition)
      most = Math.max(most, active.size)
      await new Promise((resolve) => setTimeout(resolve, 5))
      active.delete(partition)
    })
    await until(() => values.length === 60, 'all is handled')
    expect(most).toBe(3)
    for (let partition = 0; partition < 6; partition++) {
      expect(of(`${partition}/`, values)).toEqual(numbered(`${partition}/`, 5))
    }
  })

  test('a partition that is stuck does not hold up the others', async () => {
    const topic = await cluster.topic(3)
    const groupId = cluster.name('group')
    await cluster.send(topic, 0, ['stuck'])
    const { values } = consume(topic, groupId, { rebalanceTimeoutMs: 500 }, async ({ partition }, signal) => {
      if (partition === 0)
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    })
    for (let round = 0; round < 10; round++) {
      for (const partition of [1, 2]) await cluster.send(topic, partition, [`${partition}/${round}`])
      await until(() => values.length === (round + 1) * 2, 'the others are handled')
    }
    expect((await committed(groupId, topic, 1))[0]).toBeLessThanOrEqual(0)
  })

  test('lag counts what is not handled yet, and ends at nothing', async () => {
    const topic = await cluster.topic(1)
    const groupId = cluster.name('group')
    const told: number[] = []
    let release!: () => void
    const held = new Promise<void>((resolve) => (release = resolve))
    await cluster.send(topic, 0, numbered('a', 30))
    const { consumer } = consume(topic, groupId, { onLag: (_topic, _partition, lag) => told.push(lag) }, () => held)
    await until(() => consumer.lag().get(`${topic}-0`) === 30, 'the lag is known')
    release()
    await until(() => consumer.lag().get(`${topic}-0`) === 0, 'the lag is gone')
    expect(told[0]).toBe(30)
    expect(told.at(-1)).toBe(0)
  })
})

describe('a handler that fails', () => {
  test('gets the same chunk again until it succeeds; the group does not notice, the log says it once', async () => {
    const topic = await cluster.topic(2)
    const groupId = cluster.name('group')
    let failing = true
    let attempts = 0
    const { values, log } = consume(topic, groupId, {}, () => {
      attempts++
      return failing ? Promise.reject(new Error('the database is away')) : Promise.resolve()
    })
    for (const partition of [0, 1]) await cluster.send(topic, partition, numbered(`${partition}-`, 100))
    await until(() => attempts >= 8, 'it failed a few times')
    for (const partition of [0, 1]) await cluster.send(topic, partition, numbered(`${partition}-more`, 100))
    await until(() => attempts >= 12, 'it failed on')
    expect(values).toEqual([])
    expect(sum(await committed(groupId, topic, 2))).toBe(0)
    failing = false
    await until(() => values.length === 400, 'everything is handled in the end')
    for (const partition of [0, 1]) {
      const expected = [...numbered(`${partition}-`, 100), ...numbered(`${partition}-more`, 100)]
      expect(of(`${partition}-`, values)).toEqual(expected)
    }
    await until(async () => sum(await committed(groupId, topic, 2)) === 400, 'and committed')
    expect(log.count('handling records fails, retrying')).toBe(1)
    expect(log.count('records are handled again')).toBe(1)
    expect(log.count('joined the group')).toBe(1)
  })
})

describe('rebalancing', () => {
  test('members that come and go neither lose nor double a record', async () => {
    const topic = await cluster.topic(6)
    const groupId = cluster.name('group')
    const all: Handled[] = []
    let sent = 0
    const sendRound = async () => {
      for (let partition = 0; partition < 6; partition++)
        await cluster.send(topic, partition, numbered(`${sent++}/`, 50))
    }
    const handled = () => all.flatMap(({ values }) => values)
    const slowly = () => new Promise<void>((resolve) => setTimeout(resolve, 10))
    const options = { maxBufferedBytes: 100_000 }
    all.push(consume(topic, groupId, options, slowly))
    for (let round = 0; round < 4; round++) {
      await sendRound()
      all.push(consume(topic, groupId, options, slowly))
      await sendRound()
      await all[round]!.consumer.close()
      await all[round]!.running
      await sendRound()
    }
    await until(() => handled().length >= sent * 50, 'all is handled')
    const expected = Array.from({ length: sent }, (_, number) => numbered(`${number}/`, 50)).flat()
    expect(handled().sort()).toEqual(expected.sort())
    await until(async () => sum(await committed(groupId, topic, 6)) === sent * 50, 'all is committed')
  })

  test('a handler that does not end is told to stop, its partition moves on, and its late success commits nothing', async () => {
    const topic = await cluster.topic(2)
    const groupId = cluster.name('group')
    for (const partition of [0, 1]) await cluster.send(topic, partition, [`p${partition}`])
    let aborted = 0
    let release!: () => void
    const held = new Promise<void>((resolve) => (release = resolve))
    const options = { rebalanceTimeoutMs: 2000 }
    const stuck = consume(topic, groupId, options, async (_chunk, signal) => {
      signal.addEventListener('abort', () => aborted++)
      await held // whatever the signal says
    })
    await until(() => stuck.log.count('joined the group') === 1, 'it owns everything')
    const other = consume(topic, groupId, options)
    // On a busy machine the stuck one may be late for the rebalance: then both partitions move.
    await until(() => other.values.length >= 1, 'the other one handles what moved to it')
    expect(aborted).toBe(2)
    const [moved] = other.values
    const partition = Number(moved!.slice(1))
    await until(async () => (await committed(groupId, topic, 2))[partition] === 1, 'and commits it')
    release()
    await until(async () => sum(await committed(groupId, topic, 2)) === 2, 'everything is committed')
    // What is committed was handled by an owner after the straggler, whoever that is.
    expect([...stuck.values, ...other.values].sort()).toEqual(['p0', 'p0', 'p1', 'p1'])
  })

  test('an expelled member stops at once and commits nothing; everything is handled after it came back', async () => {
    const topic = await cluster.topic(1)
    const groupId = cluster.name('group')
    await cluster.send(topic, 0, numbered('a', 20))
    let calls = 0
    let stopped = false
    const { values, log } = consume(topic, groupId, {}, async (_chunk, signal) => {
      if (calls++ > 0) return
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      stopped = true // and "success", too late
    })
    await until(() => calls === 1, 'it is at work')
    const { members } = await admin.describeGroup(groupId)
    await admin.leaveGroup(groupId, members[0]!.memberId)
    await until(() => stopped, 'its signal is aborted')
    expect((await committed(groupId, topic, 1))[0]).toBeLessThanOrEqual(0)
    await until(async () => (await committed(groupId, topic, 1))[0] === 20, 'it came back')
    expect(log.count('joined the group')).toBe(2)
    expect(values.slice(-20)).toEqual(numbered('a', 20))
  })
})

describe('broken connections', () => {
  test('lose nothing and keep the order', async () => {
    const topic = await cluster.topic(3)
    const groupId = cluster.name('group')
    const { values, log } = consume(topic, groupId)
    for (let round = 0; round < 6; round++) {
      for (const partition of [0, 1, 2]) await cluster.send(topic, partition, numbered(`${partition}/${round}/`, 20))
      await until(() => values.length >= (round + 1) * 30, 'it is under way')
      cluster.cutConnections()
    }
    await until(() => new Set(values).size === 360, 'all is handled')
    await until(async () => sum(await committed(groupId, topic, 3)) === 360, 'all is committed')
    for (const partition of [0, 1, 2]) {
      const inOrder = [0, 1, 2, 3, 4, 5].flatMap((round) => numbered(`${partition}/${round}/`, 20))
      expect([...new Set(of(`${partition}/`, values))]).toEqual(inOrder)
    }
    expect(log.count('joined the group')).toBe(1)
    expect(values).toHaveLength(360)
  })
})
