import { describe, expect, it } from 'vitest'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { utf8, type Serde } from '../serde.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { StreamTask } from './stream-task.js'

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}

async function createTask() {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: number })
    .groupByKey()
    .aggregate(
      keyValueStore('sums', { key: utf8, value: number }),
      () => 0,
      (sum, value) => sum + value,
    )
  const budget = new CacheBudget(1 << 20)
  const task = new StreamTask({
    subTopology: builder.build().subTopologies[0]!,
    partition: 0,
    directory: '',
    bootId: 'boot',
    makeEngine: () => new MemoryEngine(),
    budget,
    output: { append: () => undefined, deadLetter: () => undefined, dropped: () => undefined, late: () => undefined },
  })
  await task.open()
  await task.start(new Map([['in', 0]]), '{}', 0)
  const read = task.processor.visitor('in')
  read(0, 0, Buffer.from('key1\0'), 0, 3, 3, 4, 4)
  return { task, budget }
}

describe('a task', () => {
  it('gives its whole share of the cache back when it is closed with changes nobody committed', async () => {
    const { task, budget } = await createTask()
    expect(budget.usedBytes).toBeGreaterThan(0)
    await task.close()
    expect(budget.usedBytes).toBe(0)
    expect(budget.mustFreeze).toBe(false)
  })

  it('forgets what was processed when it is rolled back, and is not to be used before it was started again', async () => {
    const { task, budget } = await createTask()
    task.rollBack(0)
    expect(task.stale).toBe(true)
    expect(budget.usedBytes).toBe(0)
    expect(task.processor.freeze(0).changes.get('sums')).toEqual([])
  })

  it('answers no query between a rebuild and the next start', async () => {
    const { task } = await createTask()
    expect(task.complete).toBe(true)
    await task.rebuild()
    expect(task.complete).toBe(false)
    expect(task.stale).toBe(true)
  })
})
