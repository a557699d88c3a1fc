import { describe, expect, test } from 'vitest'
import { KafkaError } from './errors.js'
import { FetchBuffer, type FetchPlan } from './fetch-buffer.js'
import type { FetchedPartition } from './protocol/fetch.js'

const KIB = 1024

function bufferOf(partitions: number, options: { maxBufferedBytes?: number; maxBytesPerPartition?: number } = {}) {
  const buffer = new FetchBuffer({
    maxBytesPerPartition: 1024 * KIB,
    maxBufferedBytes: 4096 * KIB,
    newsEveryMs: 100,
    ...options,
  })
  for (let partition = 0; partition < partitions; partition++) {
    buffer.assign('t', partition, 0)
    buffer.get('t', partition)!.leaderId = '1'
  }
  return buffer
}

/** A batch of `count` offsets and about `sizeBytes`; the buffer reads no more than its header. */
function batch(baseOffset: number, count: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.max(61, sizeBytes))
  bytes.writeBigInt64BE(BigInt(baseOffset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes[16] = 2
  bytes.writeInt32BE(count - 1, 23)
  return bytes
}

function answer(partition: number, records: Buffer | null, highWatermark = 100): FetchedPartition {
  const watermarks = { highWatermark, lastStableOffset: highWatermark, logStartOffset: 0 }
  return { topic: 't', partition, errorCode: 0, ...watermarks, aborted: null, records }
}

function asked(plan: FetchPlan | undefined, partition: number): FetchPlan['partitions'][number] {
  return plan!.partitions.find((entry) => entry.partition === partition)!
}

function numbers(plan: FetchPlan | undefined): number[] | undefined {
  return plan?.partitions.map(({ partition }) => partition)
}

describe('positions', () => {
  test('the next plan begins after what was accepted, before anybody took it', () => {
    const buffer = bufferOf(1)
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 10, 500)), 0)
    expect(buffer.plan('1')!.partitions[0]).toMatchObject({ offset: 10 })
    expect(buffer.take()!.chunk).toMatchObject({ partition: 0, fetchOffset: 0 })
  })

  test('chunks come out in the order they came in', () => {
    const buffer = bufferOf(2)
    for (const [partition, offset] of [
      [1, 0],
      [0, 0],
      [1, 5],
      [0, 5],
    ] as const) {
      buffer.accept(asked(buffer.plan('1'), partition), answer(partition, batch(offset, 5, 100)), 0)
    }
    const taken = Array.from({ length: 4 }, () => buffer.take()!.chunk)
    expect(taken.map(({ partition, fetchOffset }) => [partition, fetchOffset])).toEqual([
      [1, 0],
      [0, 0],
      [1, 5],
      [0, 5],
    ])
    expect(buffer.take()).toBeUndefined()
  })

  test('seeking drops what waits, and the answer still on its way for the old position', () => {
    const buffer = bufferOf(1)
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 10, 500)), 0)
    const onItsWay = asked(buffer.plan('1'), 0)
    buffer.assign('t', 0, 50)
    buffer.accept(onItsWay, answer(0, batch(10, 10, 500)), 0)
    expect(buffer.take()).toBeUndefined()
    expect(buffer.bufferedBytes).toBe(0)
    expect(buffer.plan('1')!.partitions[0]).toMatchObject({ offset: 50 })
  })

  test('unassigning drops it too, other partitions keep theirs', () => {
    const buffer = bufferOf(2)
    const plan = buffer.plan('1')
    buffer.accept(asked(plan, 0), answer(0, batch(0, 1, 100)), 0)
    buffer.accept(asked(plan, 1), answer(1, batch(0, 1, 100)), 0)
    const onItsWay = asked(buffer.plan('1'), 0)
    buffer.unassign('t', 0)
    buffer.accept(onItsWay, answer(0, batch(1, 1, 100)), 0)
    expect(buffer.take()!.chunk.partition).toBe(1)
    expect(buffer.take()).toBeUndefined()
  })

  test('a batch that is cut off before its end is no progress, and no chunk', () => {
    const buffer = bufferOf(1)
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 10, 500).subarray(0, 400)), 0)
    expect(buffer.take()!.chunk.records).toBeNull()
    expect(buffer.plan('1')!.partitions[0]).toMatchObject({ offset: 0 })
  })
})

describe('bounds', () => {
  test('what waits never passes maxBufferedBytes, and nothing is asked for that would not fit', () => {
    const buffer = bufferOf(8, { maxBufferedBytes: 1024 * KIB })
    const offsets = new Array<number>(8).fill(0)
    const part = 0.4 // of what was asked for: a partition may be asked for more before its first chunk is taken
    for (let round = 0; round < 50; round++) {
      const plan = buffer.plan('1')
      if (plan === undefined) break
      expect(buffer.bufferedBytes + plan.maxBytes).toBeLessThanOrEqual(1024 * KIB)
      for (const entry of plan.partitions) {
        buffer.accept(entry, answer(entry.partition, batch(offsets[entry.partition]!++, 1, entry.maxBytes * part)), 0)
      }
    }
    expect(buffer.plan('1')).toBeUndefined()
    expect(buffer.bufferedBytes).toBeLessThanOrEqual(1024 * KIB)
  })

  test('a partition whose chunks nobody takes costs the others nothing', () => {
    const buffer = bufferOf(2, { maxBufferedBytes: 256 * KIB })
    buffer.pause('t', 0)
    let offset = 0
    for (let round = 0; round < 20; round++) {
      const plan = buffer.plan('1')
      const stuck = plan!.partitions.find(({ partition }) => partition === 0)
      if (stuck !== undefined) buffer.accept(stuck, answer(0, batch(stuck.offset, 1, stuck.maxBytes)), 0)
      buffer.accept(asked(plan, 1), answer(1, batch(offset, 1, 100 * KIB)), 0)
      expect(buffer.take()!.chunk).toMatchObject({ partition: 1, fetchOffset: offset++ })
    }
    buffer.resume('t', 0)
    expect(buffer.take()!.chunk).toMatchObject({ partition: 0, fetchOffset: 0 })
  })

  test('a batch larger than the share is taken in whole', () => {
    const buffer = bufferOf(1, { maxBufferedBytes: 64 * KIB })
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 1, 900 * KIB)), 0)
    expect(buffer.plan('1')).toBeUndefined()
    expect(buffer.take()!.chunk.records).toHaveLength(900 * KIB)
    expect(buffer.plan('1')!.partitions[0]).toMatchObject({ offset: 1 })
  })

  test('everybody comes first in turn: a broker fills answers from the front', () => {
    const buffer = bufferOf(3)
    expect(numbers(buffer.plan('1'))).toEqual([0, 1, 2])
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 1, 100)), 0)
    expect(numbers(buffer.plan('1'))).toEqual([1, 2, 0])
  })

  test('a small chunk that waits does not keep the large answer it came with in memory', () => {
    const buffer = bufferOf(2)
    buffer.pause('t', 0)
    const response = Buffer.alloc(1024 * KIB)
    const records = batch(0, 1, 200)
    records.copy(response, 1000)
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, response.subarray(1000, 1200)), 0)
    buffer.resume('t', 0)
    const taken = buffer.take()!.chunk.records!
    expect(taken).toEqual(records)
    expect(taken.buffer.byteLength).toBeLessThan(64 * KIB)
  })

  test('a plan that leaves out a full partition says so, unless that one is paused', () => {
    const buffer = bufferOf(2)
    expect(buffer.plan('1')).toMatchObject({ partial: false })
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 1, 1000 * KIB)), 0)
    expect(numbers(buffer.plan('1'))).toEqual([1])
    expect(buffer.plan('1')).toMatchObject({ partial: true })
    buffer.pause('t', 0)
    expect(buffer.plan('1')).toMatchObject({ partial: false })
  })
})

describe('news without records', () => {
  test('changed watermarks are told at once, unchanged ones now and then', () => {
    const buffer = bufferOf(1)
    const tell = (highWatermark: number, nowMs: number) => {
      buffer.accept(asked(buffer.plan('1'), 0), answer(0, null, highWatermark), nowMs)
      return buffer.take()?.chunk.highWatermark
    }
    expect(tell(5, 0)).toBe(5)
    expect(tell(5, 50)).toBeUndefined()
    expect(tell(6, 60)).toBe(6)
    expect(tell(6, 159)).toBeUndefined()
    expect(tell(6, 161)).toBe(6)
  })

  test('every answer counts as answered, told or not', () => {
    const buffer = bufferOf(1)
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, batch(0, 7, 100), 7), 10)
    expect(buffer.get('t', 0)!.answered).toEqual({ position: 7, highWatermark: 7, lastStableOffset: 7, atMs: 10 })
    buffer.accept(asked(buffer.plan('1'), 0), answer(0, null, 7), 20)
    expect(buffer.get('t', 0)!.answered).toMatchObject({ position: 7, atMs: 20 })
  })

  test('at most one waits for each partition: the latest', () => {
    const buffer = bufferOf(1)
    for (let round = 0; round < 5; round++) buffer.accept(asked(buffer.plan('1'), 0), answer(0, null, round), round)
    expect(buffer.take()!.chunk.highWatermark).toBe(4)
    expect(buffer.take()).toBeUndefined()
  })
})

describe('failures', () => {
  test('an error stands in line once, and its partition rests until it is assigned anew', () => {
    const buffer = bufferOf(2)
    const error = KafkaError.named('OFFSET_OUT_OF_RANGE', { topic: 't', partition: 0 })
    buffer.fail(buffer.get('t', 0)!, error)
    buffer.fail(buffer.get('t', 0)!, error)
    expect(numbers(buffer.plan('1'))).toEqual([1])
    expect(() => buffer.take()).toThrow(error)
    expect(buffer.take()).toBeUndefined()
    buffer.assign('t', 0, 3)
    expect(numbers(buffer.plan('1'))).toEqual([1, 0])
  })

  test('the error of a paused partition is not kept back', () => {
    const buffer = bufferOf(1)
    buffer.pause('t', 0)
    const error = KafkaError.named('OFFSET_OUT_OF_RANGE', {})
    buffer.fail(buffer.get('t', 0)!, error)
    expect(() => buffer.take()).toThrow(error)
  })

  test('a broker that is lost takes its partitions into trouble until each is answered again', () => {
    const buffer = bufferOf(2)
    const plan = buffer.plan('1')
    buffer.dropLeader('1')
    expect(buffer.withoutLeader()).toHaveLength(2)
    buffer.accept(asked(plan, 0), answer(0, null), 0)
    expect(buffer.isTroubled).toBe(true)
    buffer.accept(asked(plan, 1), answer(1, null), 0)
    expect(buffer.isTroubled).toBe(false)
  })
})
