import { describe, expect, it } from 'vitest'
import { StreamTask } from '../processing/stream-task.js'
import { utf8, type Serde } from '../serde.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'
import type { TaskView } from './task-view.js'

interface Sum {
  n: number
}
const json: Serde<Sum> = {
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as Sum,
}
const sums = keyValueStore('sums', { key: utf8, value: json })
const windows = windowStore('windows', { key: utf8, value: json, retentionMs: 100 })

/** A task that adds `value.n` per key, and per key and window of 10 ms; events are a record with its event time. */
async function createTask() {
  const builder = new StreamsBuilder()
  const stream = builder.stream('in', { key: utf8, value: json }).groupByKey()
  const add = (sum: Sum, { n }: Sum) => {
    sum.n += n
    return sum
  }
  stream.aggregate(sums, () => ({ n: 0 }), add)
  stream.windowedBy(tumbling({ sizeMs: 10, graceMs: 50 })).aggregate(windows, () => ({ n: 0 }), add)
  const scans: number[] = []
  class CountingEngine extends MemoryEngine {
    override snapshot() {
      const snapshot = super.snapshot()
      return {
        ...snapshot,
        entries: async function* (scan: Parameters<typeof snapshot.entries>[0]) {
          const index = scans.push(0) - 1
          for await (const entry of snapshot.entries(scan)) {
            scans[index]!++
            yield entry
          }
        },
      }
    }
  }
  const task = new StreamTask({
    subTopology: builder.build().subTopologies[0]!,
    partition: 0,
    directory: '',
    bootId: 'boot',
    makeEngine: () => new CountingEngine(),
    budget: new CacheBudget(1 << 20),
    output: {
      append: () => undefined,
      deadLetter: () => undefined,
      dropped: () => undefined,
      late: () => undefined,
    },
  })
  await task.open()
  await task.start(new Map([['in', 0]]), '{}', 0)
  task.status = 'RUNNING'
  const read = task.processor.visitor('in')
  let offset = 0
  function add1(key: string, atMs = 0, n = 1): void {
    const [keyBytes, value] = [Buffer.from(key), json.encode({ n })]
    const end = keyBytes.length + value.length
    const bytes = Buffer.concat([keyBytes, value, Buffer.of(0)])
    read(offset++, atMs, bytes, 0, keyBytes.length, keyBytes.length, end, end)
  }
  /** Freezes and commits; `persist` comes when it is called. */
  function commit() {
    const frozen = task.processor.freeze(0)
    task.committed(frozen)
    return () => task.persist(frozen, new Map())
  }
  return { task, add1, commit, scans }
}

const found = (view: TaskView, options = {}) =>
  view
    .keyValue(sums)
    .all(options)
    .then((all) => all.map(([key, { n }]) => `${key}=${n}`))

async function filled(keys: string[]) {
  const created = await createTask()
  for (const key of keys) created.add1(key)
  await created.commit()()
  return created
}

describe('a view of what is committed', () => {
  it('shows nothing that was processed and not committed', async () => {
    const { task, add1, commit } = await filled(['a'])
    add1('a')
    add1('b')
    expect(await found(task.view())).toEqual(['a=1'])
    expect(task.view().keyValue(sums).get('b')).toBeUndefined()
    commit()
    expect(await found(task.view()), 'before the engine has it').toEqual(['a=2', 'b=1'])
  })

  it('shows one moment: commits that come while it is read are not seen', async () => {
    const { task, add1, commit } = await filled(['a', 'b'])
    const view = task.view()
    expect(view.keyValue(sums).get('a')).toEqual({ n: 1 })
    add1('b', 30)
    add1('c', 30)
    await commit()()
    expect(await found(view)).toEqual(['a=1', 'b=1'])
    expect(view.streamTimeMs).toBe(0)
    expect(task.view().streamTimeMs).toBe(30)
  })
})

describe('a view of the latest', () => {
  it('says so, and shows what is processed, also while a commit of it is under way', async () => {
    const { task, add1, commit } = await filled(['a', 'b'])
    add1('b')
    add1('c', 30)
    const view = task.view('latest')
    expect(view.isolation).toBe('latest')
    expect(await found(view)).toEqual(['a=1', 'b=2', 'c=1'])
    expect(view.streamTimeMs).toBe(30)
    const persist = commit()
    add1('c')
    expect(await found(view)).toEqual(['a=1', 'b=2', 'c=2'])
    expect(view.keyValue(sums).get('b')).toEqual({ n: 2 })
    await persist()
    expect(await found(view)).toEqual(['a=1', 'b=2', 'c=2'])
    expect((await view.window(windows).fetch('c', 0, 100)).map(({ startMs, value }) => [startMs, value.n])).toEqual([
      [0, 1],
      [30, 1],
    ])
  })

  it('hands out no live object: what is done with it changes no state', async () => {
    const { task, add1 } = await filled([])
    add1('a')
    const view = task.view('latest')
    view.keyValue(sums).get('a')!.n = 100
    for await (const [, sum] of view.keyValue(sums).range()) sum.n = 100
    for await (const [, { value }] of view.window(windows).fetchAll(0, 100)) value.n = 100
    expect(view.keyValue(sums).get('a')).toEqual({ n: 1 })
    expect(view.window(windows).get('a', 0)?.value).toEqual({ n: 1 })
  })

  it('is one of what is committed while the task is not running', async () => {
    const { task, add1 } = await filled(['a'])
    add1('a')
    task.suspend(0)
    const view = task.view('latest')
    expect(view.isolation).toBe('committed')
    expect(await found(view)).toEqual(['a=1'])
  })
})

describe.each(['committed', 'latest'] as const)('a range of keys, %s', (isolation) => {
  /** Half of the keys in the engine, the others (and a newer c) only above it. */
  async function layered() {
    const { task, add1, commit } = await filled(['a', 'c', 'ca', 'e', 'é'])
    for (const key of ['b', 'c', 'cb', 'd', 'f']) add1(key)
    commit()
    return task.view(isolation)
  }
  const all = ['a=1', 'b=1', 'c=2', 'ca=1', 'cb=1', 'd=1', 'e=1', 'f=1', 'é=1']

  it('is ascending by the bytes of the key, whatever lies where', async () => {
    expect(await found(await layered())).toEqual(all)
    expect(await found(await layered(), { reverse: true })).toEqual([...all].reverse())
  })

  it('includes both ends, and ends before an end that is before its beginning', async () => {
    expect(await found(await layered(), { from: 'b', to: 'd' })).toEqual(['b=1', 'c=2', 'ca=1', 'cb=1', 'd=1'])
    expect(await found(await layered(), { from: 'bb', to: 'cc' })).toEqual(['c=2', 'ca=1', 'cb=1'])
    expect(await found(await layered(), { from: 'd', to: 'b' })).toEqual([])
  })

  it('takes a prefix as a key or as bytes, together with ends', async () => {
    expect(await found(await layered(), { prefix: 'c' })).toEqual(['c=2', 'ca=1', 'cb=1'])
    expect(await found(await layered(), { prefix: Buffer.from([0xc3]) })).toEqual(['é=1'])
    expect(await found(await layered(), { prefix: 'c', from: 'ca' })).toEqual(['ca=1', 'cb=1'])
    expect(await found(await layered(), { prefix: 'c', to: 'ca' })).toEqual(['c=2', 'ca=1'])
    expect(await found(await layered(), { prefix: Buffer.from([0xff]) })).toEqual([])
  })

  it('stops at its limit, from either side', async () => {
    for (let limit = 0; limit <= all.length; limit++) {
      expect(await found(await layered(), { limit })).toEqual(all.slice(0, limit))
      expect(await found(await layered(), { limit, reverse: true })).toEqual([...all].reverse().slice(0, limit))
    }
  })
})

describe('a limited range', () => {
  it('reads no more of the engine than it needs', async () => {
    const { task, scans } = await filled(Array.from({ length: 1_000 }, (_, n) => `key ${n}`))
    expect(await found(task.view(), { limit: 3 })).toHaveLength(3)
    expect(scans).toEqual([3])
    for await (const entry of task.view().keyValue(sums).range()) if (entry) break
    expect(scans).toEqual([3, 1])
  })
})

describe('windows', () => {
  async function layered(isolation: 'committed' | 'latest') {
    const { task, add1, commit } = await createTask()
    for (const atMs of [0, 10, 20]) for (const key of ['B', 'A', 'AA']) add1(key, atMs)
    await commit()()
    add1('B', 25)
    add1('C', 30)
    add1('A', 30)
    const persist = commit()
    return { view: task.view(isolation).window(windows), add1, commit, persist, task }
  }

  it.each(['committed', 'latest'] as const)('of one key come by their start, %s', async (isolation) => {
    const { view } = await layered(isolation)
    const starts = async (...[fromMs, toMs, options]: [number, number, object?]) =>
      (await view.fetch('A', fromMs, toMs, options)).map(({ startMs }) => startMs)
    expect(await starts(0, 30)).toEqual([0, 10, 20, 30])
    expect(await starts(1, 29)).toEqual([10, 20])
    expect(await starts(0, 30, { reverse: true, limit: 2 })).toEqual([30, 20])
    expect(await starts(0, 30, { limit: 3 })).toEqual([0, 10, 20])
    expect(await starts(30, 0)).toEqual([])
    expect((await view.fetch('B', 20, 20))[0]?.value).toEqual({ n: 2 })
    expect(view.get('B', 20)?.value).toEqual({ n: 2 })
  })

  it.each(['committed', 'latest'] as const)(
    'of all keys come key after key, within a time and a limit, %s',
    async (isolation) => {
      const { view } = await layered(isolation)
      const all = async (fromMs: number, toMs: number, limit?: number) => {
        const found: string[] = []
        const options = limit === undefined ? {} : { limit }
        for await (const [key, { startMs }] of view.fetchAll(fromMs, toMs, options)) found.push(`${key}@${startMs}`)
        return found
      }
      expect(await all(10, 30)).toEqual(['A@10', 'A@20', 'A@30', 'B@10', 'B@20', 'C@30', 'AA@10', 'AA@20'])
      expect(await all(30, 30)).toEqual(['A@30', 'C@30'])
      expect(await all(10, 30, 4)).toEqual(['A@10', 'A@20', 'A@30', 'B@10'])
      expect(await all(40, 100)).toEqual([])
    },
  )

  it.each(['committed', 'latest'] as const)(
    'past their retention are not shown, though they are still there, %s',
    async (isolation) => {
      const { task, add1, commit, persist } = await layered(isolation)
      await persist()
      add1('Z', 115)
      commit()
      const view = task.view(isolation).window(windows)
      expect(view.get('A', 10)).toBeUndefined()
      expect(view.get('A', 20)).toBeDefined()
      expect((await view.fetch('A', 0, 100)).map(({ startMs }) => startMs)).toEqual([20, 30])
      for await (const [, { startMs }] of view.fetchAll(0, 200)) expect(startMs).toBeGreaterThanOrEqual(15)
    },
  )
})
