import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { RealKafka } from '../kafka/testing/real-kafka.js'
import { until } from '../kafka/testing/test-cluster.js'
import { RecordAccumulator } from '../kafka/records/encode.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { encodeProgress, PROGRESS_HEADER } from '../state/progress.js'
import { storePrefix } from '../state/store-keys.js'
import { TaskState } from '../state/task-state.js'
import { ChangelogReader, UNDECIDED_TOLD_EVERY_MS } from './changelog-reader.js'
import { RestoreProgress, type RestoreEvent } from './restore-progress.js'

let kafka: RealKafka
let topic = ''
let reader: ChangelogReader
let events: RestoreEvent[] = []
const failures: [string, unknown][] = []
const written: [task: string, changes: number][] = []
const never = new AbortController().signal

beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
  topic = await kafka.topic(2)
  events = []
  failures.length = 0
  written.length = 0
  const restores = new RestoreProgress()
  restores.listen((event) => events.push(event))
  reader = newReader(restores)
})
afterEach(async () => {
  await reader.close()
  await kafka.close()
})

function newReader(restores = new RestoreProgress()): ChangelogReader {
  const onStandbyWritten = async (task: string, changes: number) => void written.push([task, changes])
  const onStandbyFailure = (task: string, error: unknown) => void failures.push([task, error])
  return new ChangelogReader(kafka.client, { log: kafka.log, restores, onStandbyWritten, onStandbyFailure })
}

/** Commits keys with this value, as a task does; or leaves what an aborted transaction leaves. */
async function write(
  partition: number,
  keys: number,
  value: string,
  outcome: 'commit' | 'abort' = 'commit',
): Promise<void> {
  const producer = new TransactionalProducer(kafka.client, {
    transactionalId: `${topic}-${partition}`,
    transactionTimeoutMs: 10_000,
  })
  await producer.init()
  await producer.produce(recordsOf(partition, keys, value))
  await producer.end(outcome)
  await until(() => kafka.isDecided(topic, partition), 'the transaction is decided')
}

function recordsOf(partition: number, keys: number, value: string): RecordAccumulator {
  const records = new RecordAccumulator()
  for (let n = 0; n < keys; n++) {
    const progress = encodeProgress({ inputs: { in: Number(value) }, clock: '{}' })
    const headers = n === keys - 1 ? [{ key: PROGRESS_HEADER, value: progress }] : []
    records.append(topic, partition, Buffer.from(`key ${n}`), Buffer.from(value), Date.now(), headers)
  }
  return records
}

async function stateOf(partition: number, engine = new MemoryEngine()): Promise<TaskState> {
  const state = new TaskState(`0_${partition}`, '', 'boot', () => engine)
  await state.open()
  state.begin('sums', 'topic-id', 0)
  return state
}

const partitionOf = (state: TaskState, partition: number) => ({ state, store: 'sums', topic, partition })
const endOf = async (partition: number) =>
  (await kafka.admin.listOffsets(topic, [partition], 'latest', 'read_uncommitted')).get(partition)!
const target = async (state: TaskState, partition: number) => ({
  ...partitionOf(state, partition),
  endOffset: await endOf(partition),
})
const valueIn = ({ engine }: TaskState, key: string) =>
  engine.get(Buffer.concat([storePrefix('sums'), Buffer.from(key)]))?.toString()

describe('restoring', () => {
  it('brings the last committed value of each key, passes what was aborted, and knows the input it belongs to', async () => {
    await write(0, 50, '1')
    await write(0, 50, '2')
    await write(0, 50, '9', 'abort')
    const state = await stateOf(0)
    expect(await reader.restore(state, [await target(state, 0)], never)).toBe(100)
    expect([valueIn(state, 'key 0'), valueIn(state, 'key 49')]).toEqual(['2', '2'])
    expect(state.changelog('sums')?.position).toBe(await endOf(0))
    expect(state.progress).toEqual({ inputs: { in: 2 }, clock: '{}' })
    expect(events.at(-1)).toMatchObject({ kind: 'completed', restored: 100, remaining: 0 })
  })

  it('goes on from where it was called off, and replays nothing twice', async () => {
    await write(0, 10, '1')
    const state = await stateOf(0)
    const first = await reader.restore(state, [await target(state, 0)], never)
    await write(0, 10, '2')
    const abort = new AbortController()
    abort.abort()
    expect(await reader.restore(state, [await target(state, 0)], abort.signal)).toBeUndefined()
    expect(valueIn(state, 'key 0')).toBe('1')
    expect(await reader.restore(state, [await target(state, 0)], never)).toBe(10)
    expect([first, valueIn(state, 'key 0')]).toEqual([10, '2'])
  })

  it('that waits for a transaction nobody decides says so, and which', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      await write(0, 10, '1')
      const producer = new TransactionalProducer(kafka.client, {
        transactionalId: `${topic}-open`,
        transactionTimeoutMs: 60_000,
      })
      await producer.init()
      await producer.produce(recordsOf(0, 1, '2'))
      const state = await stateOf(0)
      const restored = reader.restore(state, [await target(state, 0)], never)
      await until(() => state.changelog('sums')!.position === 11, 'it has what is committed')
      vi.advanceTimersByTime(2 * UNDECIDED_TOLD_EVERY_MS)
      expect(kafka.log.lines).toContainEqual(
        expect.objectContaining({ fields: { task: '0_0', waitsFor: [`${topic}-0 at 11 of 12`] } }),
      )
      await producer.end('commit')
      expect(await restored).toBe(11)
    } finally {
      vi.useRealTimers()
    }
  })

  it('of several tasks goes on side by side', async () => {
    await write(0, 10, '1')
    await write(1, 20, '1')
    const states = [await stateOf(0), await stateOf(1)]
    const restored = states.map(async (state, at) => reader.restore(state, [await target(state, at)], never))
    expect(await Promise.all(restored)).toEqual([10, 20])
  })

  it('tells when the engine fails', async () => {
    await write(0, 10, '1')
    const engine = new MemoryEngine()
    const state = await stateOf(0, engine)
    engine.write = () => Promise.reject(new Error('no space left'))
    await expect(reader.restore(state, [await target(state, 0)], never)).rejects.toThrow('no space left')
  })
})

describe('a standby', () => {
  it('is kept up with every commit, and known to be current from a moment on that goes on', async () => {
    await write(0, 10, '1')
    const state = await stateOf(0)
    reader.follow([partitionOf(state, 0)])
    expect(reader.currentAtMs(state.taskId)).toBe(Number.NEGATIVE_INFINITY)
    await until(() => reader.currentAtMs(state.taskId) > 0, 'it is current')
    expect(valueIn(state, 'key 0')).toBe('1')
    const before = reader.currentAtMs(state.taskId)
    await write(0, 10, '2')
    await until(() => valueIn(state, 'key 0') === '2', 'it has the second commit')
    await until(() => reader.currentAtMs(state.taskId) > before, 'it is known to be current later')
    await until(() => reader.lagOf(state.taskId) === 0, 'nothing is left to replay')
    expect(written.reduce((sum, [, changes]) => sum + changes, 0)).toBe(20)
    await reader.forget(state.taskId)
    await write(0, 10, '3')
    expect(valueIn(state, 'key 0')).toBe('2')
  })

  it('is known to be current also while some transaction is always open', async () => {
    const producers = ['one', 'other'].map((name) => {
      const transactionalId = `${topic}-${name}`
      return new TransactionalProducer(kafka.client, { transactionalId, transactionTimeoutMs: 10_000 })
    })
    for (const producer of producers) await producer.init()
    const open = (turn: number) => producers[turn % 2]!.produce(recordsOf(0, 1, String(turn)))
    await open(0)
    const state = await stateOf(0)
    reader.follow([partitionOf(state, 0)])
    let turn = 1
    await until(async () => {
      await open(turn)
      await producers[(turn - 1) % 2]!.end('commit')
      turn++
      return reader.currentAtMs(state.taskId) > 0
    }, 'it is current')
    await producers[(turn - 1) % 2]!.end('commit')
  })

  it('waits while another task is restored, and then catches up', async () => {
    await write(1, 10, '1')
    const engine = new MemoryEngine()
    const [standby, restoring] = [await stateOf(0), await stateOf(1, engine)]
    reader.follow([partitionOf(standby, 0)])
    await until(() => reader.currentAtMs(standby.taskId) > 0, 'it is current')
    let release = () => undefined as void
    const held = new Promise<void>((resolve) => (release = resolve))
    const writing = vi.spyOn(engine, 'write').mockImplementationOnce(() => held)
    const restore = reader.restore(restoring, [await target(restoring, 1)], never)
    await until(() => writing.mock.calls.length > 0, 'the other is being restored')
    await write(0, 10, '2')
    await until(() => reader.lagOf(standby.taskId)! >= 10, 'it is told how far the standby is behind')
    expect(valueIn(standby, 'key 0')).toBeUndefined()
    release()
    expect(await restore).toBe(10)
    await until(() => valueIn(standby, 'key 0') === '2', 'the standby has caught up')
  })

  it('does not wait for a restore that itself waits for a transaction', async () => {
    const producer = new TransactionalProducer(kafka.client, {
      transactionalId: `${topic}-open`,
      transactionTimeoutMs: 60_000,
    })
    await producer.init()
    await write(1, 10, '1')
    await producer.produce(recordsOf(1, 1, '2'))
    const [standby, restoring] = [await stateOf(0), await stateOf(1)]
    const restored = reader.restore(restoring, [await target(restoring, 1)], never)
    reader.follow([partitionOf(standby, 0)])
    await write(0, 10, '1')
    await until(() => valueIn(standby, 'key 0') === '1', 'the standby is kept up')
    await producer.end('commit')
    expect(await restored).toBe(11)
  })

  it('is noted as current although its changelog is quiet', async () => {
    const state = await stateOf(0)
    reader.follow([partitionOf(state, 0)])
    const touched = vi.spyOn(state, 'touch')
    await reader.touch(state)
    expect(touched).toHaveBeenCalledOnce()
    expect(state.meta.persistedAtMs).toBeGreaterThan(0)
  })

  it('whose engine fails is told of, and is not followed any more', async () => {
    const engine = new MemoryEngine()
    const state = await stateOf(0, engine)
    reader.follow([partitionOf(state, 0)])
    engine.write = () => Promise.reject(new Error('no space left'))
    await write(0, 10, '1')
    await until(() => failures.length > 0, 'it is told')
    expect(failures).toMatchObject([['0_0', { message: expect.stringContaining('no space left') }]])
    expect(state.broken).toBe(true)
  })
})
