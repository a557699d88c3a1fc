import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { KafkaAdmin } from './admin.js'
import type { FetchedChunk } from './fetched-chunk.js'
import { Fetcher, type FetcherOptions } from './fetcher.js'
import { peekNextOffset } from './records/decode.js'
import type { KafkaClient } from './client.js'
import { TestCluster, until, valuesOf } from './testing/test-cluster.js'

let cluster: TestCluster
let client: KafkaClient
const fetchers: Fetcher[] = []

beforeAll(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  client = cluster.client()
  await client.connect()
})
afterEach(async () => {
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.close()))
})
afterAll(() => cluster.close())

function fetcherOf(options: Partial<FetcherOptions> = {}): Fetcher {
  const fetcher = new Fetcher(client, { isolation: 'read_committed', log: cluster.log, ...options })
  fetchers.push(fetcher)
  return fetcher
}

/** Polls until `enough` says so; the values by partition, in order. */
async function read(fetcher: Fetcher, enough: (values: string[][]) => boolean): Promise<string[][]> {
  const values: string[][] = []
  await until(async () => {
    const chunk = await fetcher.poll(100)
    if (chunk !== undefined) (values[chunk.partition] ??= []).push(...valuesOf(chunk))
    return enough(values)
  }, 'enough was read')
  return values
}

function total(values: string[][]): number {
  return values.flat().length
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}

describe('reading', () => {
  test('everything of several partitions comes in order, plain and gzip', async () => {
    const topic = await cluster.topic(3)
    for (const partition of [0, 1, 2]) {
      await cluster.send(topic, partition, numbered('a', 500), partition === 1)
      await cluster.send(topic, partition, numbered('b', 500), partition === 2)
    }
    const fetcher = fetcherOf({ maxBytesPerPartition: 4096 })
    fetcher.assign([0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })))
    const values = await read(fetcher, (seen) => total(seen) === 3000)
    for (const partition of [0, 1, 2]) expect(values[partition]).toEqual([...numbered('a', 500), ...numbered('b', 500)])
  })

  test('a position in the middle of a batch shows what follows it, and new records come as they are written', async () => {
    const topic = await cluster.topic(1)
    await cluster.send(topic, 0, numbered('a', 10))
    const fetcher = fetcherOf()
    fetcher.assign([{ topic, partition: 0, offset: 7 }])
    expect(await read(fetcher, (seen) => total(seen) >= 3)).toEqual([['a7', 'a8', 'a9']])
    await cluster.send(topic, 0, ['new'])
    expect(await read(fetcher, (seen) => total(seen) >= 1)).toEqual([['new']])
  })

  test('a batch larger than every limit still comes through', async () => {
    const topic = await cluster.topic(2)
    const large = 'x'.repeat(500_000)
    await cluster.send(topic, 0, ['before', 'before2'])
    await cluster.send(topic, 0, [large])
    await cluster.send(topic, 1, [large, 'after'])
    await cluster.send(topic, 0, ['after'])
    const fetcher = fetcherOf({ maxBytesPerPartition: 1000, maxBufferedBytes: 40_000 })
    fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
    const values = await read(fetcher, (seen) => total(seen) === 6)
    expect(values).toEqual([
      ['before', 'before2', large, 'after'],
      [large, 'after'],
    ])
  })

  test('the next fetch is answered while the caller is still busy with the chunk before', async () => {
    const topic = await cluster.topic(1)
    for (let i = 0; i < 4; i++) await cluster.send(topic, 0, ['x'.repeat(100_000)])
    const fetcher = fetcherOf({ maxBytesPerPartition: 150_000 })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    await until(async () => (await fetcher.poll(100))?.records != null, 'the first chunk came')
    await until(() => fetcher.bufferedBytes > 0, 'the next one waits without a poll')
  })

  test('while nobody polls, no more than maxBufferedBytes is held', async () => {
    const topic = await cluster.topic(4)
    for (const partition of [0, 1, 2, 3]) {
      for (let i = 0; i < 10; i++) await cluster.send(topic, partition, ['x'.repeat(20_000)])
    }
    const fetcher = fetcherOf({ maxBufferedBytes: 200_000 })
    fetcher.assign([0, 1, 2, 3].map((partition) => ({ topic, partition, offset: 0 })))
    await until(() => fetcher.bufferedBytes > 50_000, 'the buffer fills')
    let most = 0
    let seen = 0
    await until(async () => {
      most = Math.max(most, fetcher.bufferedBytes)
      const chunk = await fetcher.poll(100)
      if (chunk !== undefined) seen += valuesOf(chunk).length
      return seen === 40
    }, 'all was read')
    // One batch may be larger than what is left of a share.
    expect(most).toBeLessThanOrEqual(200_000 + 4 * 20_100)
  })

  test('new records come, however chunks were taken while a fetch for some of the partitions was under way', async () => {
    const topic = await cluster.topic(2)
    const fetcher = fetcherOf({ maxBytesPerPartition: 1000, maxWaitMs: 20 })
    for (let round = 0; round < 10; round++) {
      for (const partition of [0, 1]) await cluster.send(topic, partition, numbered('a', 60))
      fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: round * 61 })))
      await until(() => fetcher.bufferedBytes > 1200, 'both partitions have more than half of their share')
      // Without a pause between: the answer to the first fetch for one of them comes when both were taken.
      for (let taken = 0; taken < 120;) {
        const chunk = await fetcher.poll(1000)
        if (chunk !== undefined) taken += valuesOf(chunk).length
      }
      for (const partition of [0, 1]) await cluster.send(topic, partition, ['late'])
      expect(await read(fetcher, (values) => total(values) === 2)).toEqual([['late'], ['late']])
    }
  })

  test('a paused partition is passed over while another is read, and goes on where it was', async () => {
    const topic = await cluster.topic(2)
    for (let i = 0; i < 5; i++)
      for (const partition of [0, 1]) await cluster.send(topic, partition, numbered(`${i}-`, 20))
    const fetcher = fetcherOf({ maxBytesPerPartition: 300 })
    fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
    fetcher.pause(topic, 0)
    const first = await read(fetcher, (seen) => total(seen) === 100)
    expect(first[0]).toBeUndefined()
    fetcher.resume(topic, 0)
    const second = await read(fetcher, (seen) => total(seen) === 100)
    expect(second[0]).toEqual(first[1])
  })
})

describe('watermarks', () => {
  test('are told without records too, and keep being answered', async () => {
    const topic = await cluster.topic(1)
    await cluster.send(topic, 0, numbered('a', 5))
    const fetcher = fetcherOf({ maxWaitMs: 50 })
    fetcher.assign([{ topic, partition: 0, offset: 5 }])
    for (let round = 0; round < 3; round++) {
      const chunk = await fetcher.poll(5000)
      expect(chunk).toMatchObject({ topic, records: null, fetchOffset: 5, highWatermark: 5, lastStableOffset: 5 })
    }
    const before = fetcher.answered(topic, 0)!
    expect(before).toMatchObject({ position: 5, highWatermark: 5, lastStableOffset: 5 })
    await until(() => fetcher.answered(topic, 0)!.atMs > before.atMs, 'it is answered again without a poll')
  })

  test('an open transaction holds the last stable offset back, and its end is told', async () => {
    const topic = await cluster.topic(1)
    const producer = await cluster.transactionalProducer()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: 'pending', partition: 0 }] })
    const fetcher = fetcherOf({ maxWaitMs: 50 })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    await until(async () => {
      const chunk = await fetcher.poll(1000)
      expect(chunk?.records ?? null).toBeNull()
      return chunk?.highWatermark === 1 && chunk.lastStableOffset === 0
    }, 'the pending record shows in the high watermark only')
    await transaction.abort()
    await until(async () => {
      await fetcher.poll(1000)
      const { position, lastStableOffset, highWatermark } = fetcher.answered(topic, 0)!
      return position === 2 && lastStableOffset === 2 && highWatermark === 2
    }, 'the position passed the aborted record and its marker')
  })
})

describe('assigning', () => {
  test('seeking drops what was prefetched and what is on its way', async () => {
    const topic = await cluster.topic(1)
    for (let i = 0; i < 20; i++) await cluster.send(topic, 0, numbered(`${i}-`, 10))
    const fetcher = fetcherOf({ maxBytesPerPartition: 300 })
    for (const offset of [0, 150, 20, 190, 195]) {
      fetcher.assign([{ topic, partition: 0, offset }])
      let chunk
      await until(async () => (chunk = await fetcher.poll(1000))?.records != null, 'a chunk came')
      expect(chunk).toMatchObject({ fetchOffset: offset })
    }
  })

  test('an unassigned partition is not heard of again', async () => {
    const topic = await cluster.topic(2)
    for (const partition of [0, 1]) await cluster.send(topic, partition, numbered('a', 10))
    const fetcher = fetcherOf({ maxWaitMs: 20 })
    fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
    await read(fetcher, (seen) => total(seen) === 20)
    fetcher.unassign([{ topic, partition: 0 }])
    await cluster.send(topic, 0, ['late'])
    await cluster.send(topic, 1, ['late'])
    expect(await read(fetcher, (seen) => total(seen) === 1)).toEqual([undefined, ['late']])
    expect(fetcher.answered(topic, 0)).toBeUndefined()
  })

  test('an offset that the log does not have is thrown with topic and partition, the others are read on', async () => {
    const topic = await cluster.topic(2)
    await cluster.send(topic, 1, ['here'])
    const fetcher = fetcherOf()
    fetcher.assign([
      { topic, partition: 0, offset: 99 },
      { topic, partition: 1, offset: 0 },
    ])
    const errors: unknown[] = []
    const values: string[] = []
    await until(async () => {
      try {
        const chunk = await fetcher.poll(1000)
        if (chunk !== undefined) values.push(...valuesOf(chunk))
      } catch (error) {
        errors.push(error)
      }
      return errors.length === 1 && values.length === 1
    }, 'one error and one record came')
    expect(errors[0]).toMatchObject({ name: 'OFFSET_OUT_OF_RANGE', kind: 'fatal', concerns: { topic, partition: 0 } })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    await cluster.send(topic, 0, ['there'])
    expect((await read(fetcher, (seen) => total(seen) === 1))[0]).toEqual(['there'])
  })

  test('a topic that does not exist yet is waited for, with one line in the log', async () => {
    const missing = cluster.name('later')
    const fetcher = fetcherOf()
    const logged = cluster.log.count('fetching fails, retrying')
    fetcher.assign([{ topic: missing, partition: 0, offset: 0 }])
    await until(() => cluster.log.count('fetching fails, retrying') > logged, 'the failure is logged')
    const admin = await cluster.admin()
    await admin.createTopics({ topics: [{ topic: missing, numPartitions: 1 }], waitForLeaders: true })
    cluster.defer(() => admin.deleteTopics({ topics: [missing] }))
    await cluster.send(missing, 0, ['at last'])
    expect(await read(fetcher, (seen) => total(seen) === 1)).toEqual([['at last']])
    expect(cluster.log.count('fetching fails, retrying')).toBe(logged + 1)
    expect(cluster.log.count('fetching works again')).toBeGreaterThan(0)
  })
})

describe('broken connections', () => {
  test('heal by themselves: nothing is missing, nothing comes twice', async () => {
    const topic = await cluster.topic(2)
    const fetcher = fetcherOf({ maxBytesPerPartition: 2000, maxWaitMs: 50 })
    fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
    const values: string[][] = [[], []]
    for (let round = 0; round < 5; round++) {
      for (const partition of [0, 1]) await cluster.send(topic, partition, numbered(`${round}-`, 100))
      expect(cluster.cutConnections()).toBeGreaterThan(0)
      const seen = await read(fetcher, (more) => total(more) === 200)
      for (const partition of [0, 1]) values[partition]!.push(...seen[partition]!)
    }
    const expected = [0, 1, 2, 3, 4].flatMap((round) => numbered(`${round}-`, 100))
    expect(values).toEqual([expected, expected])
  })
})

describe('waiting', () => {
  test('wake() ends the poll that waits, close() too, and after close() none waits', async () => {
    const fetcher = fetcherOf()
    const woken = fetcher.poll(60_000)
    fetcher.wake()
    expect(await woken).toBeUndefined()
    fetcher.wake()
    expect(await fetcher.poll(60_000)).toBeUndefined()
    const topic = await cluster.topic(1)
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    await fetcher.poll(5000)
    fetcher.pause(topic, 0)
    const waiting = fetcher.poll(60_000)
    await fetcher.close()
    expect(await waiting).toBeUndefined()
    expect(await fetcher.poll(60_000)).toBeUndefined()
  })
})

describe('read_committed', () => {
  test('shows committed records only, however many transactions interleave', async () => {
    const topic = await cluster.topic(1)
    const producers = await Promise.all(Array.from({ length: 6 }, () => cluster.transactionalProducer()))
    const expected = new Set<string>()
    // Everybody writes between everybody else's writes, and ends in an order of its own.
    for (let round = 0; round < 5; round++) {
      const open = await Promise.all(producers.map((producer) => producer.transaction()))
      for (let write = 0; write < 3; write++) {
        for (const [index, transaction] of open.entries()) {
          const commits = (index + round) % 3 !== 0
          const value = `${round}/${index}/${write}`
          if (commits) expected.add(value)
          await transaction.send({ topic, messages: [{ value, partition: 0 }] })
        }
      }
      const order = open.map((transaction, index) => ({ transaction, index }))
      order.sort((a, b) => ((a.index * 5 + round) % 6) - ((b.index * 5 + round) % 6))
      for (const { transaction, index } of order) {
        if ((index + round) % 3 !== 0) await transaction.commit()
        else await transaction.abort()
      }
    }
    // A transaction is decided at once, but its marker is written to the partition a little later.
    const admin = new KafkaAdmin(client)
    const endOf = async (isolation: 'read_committed' | 'read_uncommitted') =>
      (await admin.listOffsets(topic, [0], 'latest', isolation)).get(0)!
    await until(
      async () => (await endOf('read_committed')) === (await endOf('read_uncommitted')),
      'every transaction was ended on the partition',
    )
    const end = await endOf('read_committed')
    // From the start, and resumed at every offset: nothing aborted shows, nothing committed is missing.
    const seenFrom = async (offset: number, maxBytesPerPartition: number) => {
      const fetcher = fetcherOf({ maxBytesPerPartition })
      fetcher.assign([{ topic, partition: 0, offset }])
      const values: string[] = []
      let position = offset
      await until(async () => {
        const chunk = await fetcher.poll(1000)
        if (chunk?.records != null) {
          values.push(...valuesOf(chunk))
          position = peekNextOffset(chunk)
        }
        return position >= end
      }, 'the end was reached')
      await fetcher.close()
      return values
    }
    const all = await seenFrom(0, 1024 * 1024)
    expect(new Set(all)).toEqual(expected)
    expect(all).toHaveLength(expected.size)
    expect(await seenFrom(0, 100)).toEqual(all)
    for (let offset = 1; offset < end; offset += 7) {
      const rest = await seenFrom(offset, 500)
      expect(rest).toEqual(all.slice(all.length - rest.length))
      expect(rest.length).toBeLessThanOrEqual(end - offset)
    }
  })

  test('batches that compaction emptied are passed', async () => {
    const topic = await cluster.topic(1, {
      'cleanup.policy': 'compact',
      'segment.bytes': '1048576',
      'min.cleanable.dirty.ratio': '0.001',
      'max.compaction.lag.ms': '100',
      'segment.ms': '100',
      'delete.retention.ms': '1',
    })
    const [once, often] = [await cluster.transactionalProducer(), await cluster.transactionalProducer()]
    const write = (producer: typeof once, value: string) =>
      producer.send({ topic, messages: [{ key: 'k', value, partition: 0 }] })
    // Nobody needs the first record any more, but its batch is kept, empty: it holds its producer's last sequence number.
    await write(once, 'first')
    const compacted = async () => {
      await write(often, 'x'.repeat(200))
      const fetcher = fetcherOf()
      fetcher.assign([{ topic, partition: 0, offset: 0 }])
      let chunk: FetchedChunk | undefined
      await until(async () => (chunk = await fetcher.poll(1000))?.records != null, 'a chunk came')
      await fetcher.close()
      const firstBatch = chunk!.records!
      return Number(firstBatch.readBigInt64BE(0)) === 0 && firstBatch.readInt32BE(57) === 0
    }
    await until(compacted, 'the broker compacted', 50_000)
    await write(often, 'last')
    const fetcher = fetcherOf({ maxBytesPerPartition: 100 })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    const values = await read(fetcher, (seen) => seen[0]?.at(-1) === 'last')
    expect(values[0]).not.toContain('first')
  })
})
