import { describe, expect, it } from 'vitest'
import { utf8, type Serde } from '../serde.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { CacheBudget } from '../state/cache-budget.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { storePrefix, windowKey } from '../state/store-keys.js'
import { storedWindowCodec } from '../state/window-store.js'
import { StreamsBuilder } from '../topology/builder.js'
import type { Announcement } from '../topology/nodes.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'
import { TaskProcessor } from './task.js'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

interface Reading {
  at: number
  amount: number
}

function json<T>(): Serde<T> {
  return {
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as T,
  }
}

interface Told {
  size: string
  start: number
  sum: number
  closed: boolean
  revision: number
}

const told =
  (size: string) =>
  ({ window, value, closed, revision }: Announcement<{ sum: number }>): Told => ({
    size,
    start: window.startMs / MINUTE,
    sum: value.sum,
    closed,
    revision,
  })

/** Sums per key for ever, per minute, and five and fifteen minutes merged from those. */
function createDriver(options: { graceMs?: number; partitions?: number } = {}) {
  const graceMs = options.graceMs ?? DAY
  const builder = new StreamsBuilder()
  const readings = builder.stream('readings', {
    key: utf8,
    value: json<Reading>(),
    timestamp: ({ at }) => at,
    deadLetterTopic: 'readings.dlq',
  })
  const produced = { key: utf8, value: json<Told>() }
  readings
    .groupByKey()
    .aggregate(
      keyValueStore('totals', { key: utf8, value: json<{ sum: number }>() }),
      () => ({ sum: 0 }),
      (state, { amount }) => {
        state.sum += amount
        return state
      },
    )
    .toStream()
    .mapValues(({ sum }) => ({ sum }))
    .to('totals', { key: utf8, value: json<{ sum: number }>() })

  const store = (name: string) =>
    windowStore(name, { key: utf8, value: json<{ sum: number }>(), retentionMs: graceMs + DAY })
  const merge = (parts: readonly { sum: number }[]) => ({ sum: parts.reduce((sum, part) => sum + part.sum, 0) })
  const minutes = readings
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: MINUTE, graceMs }))
    .aggregate(
      store('minutes'),
      () => ({ sum: 0 }),
      (state, { amount }) => {
        state.sum += amount
        return state
      },
    )
    .emit({ openAtMostEveryMs: 250, closedAfterMs: 10_000 })
  const fives = minutes.rollUp(tumbling({ sizeMs: 5 * MINUTE, graceMs }), store('fives'), merge)
  const fifteens = fives.rollUp(tumbling({ sizeMs: 15 * MINUTE, graceMs }), store('fifteens'), merge)
  minutes.mapValues(told('1m')).to('sums', produced)
  fives.mapValues(told('5m')).to('sums', produced)
  fifteens.mapValues(told('15m')).to('sums', produced)

  const topology = builder.build()
  const driver = new TopologyTestDriver(topology, { partitions: options.partitions ?? 1 })
  return {
    topology,
    driver,
    add: (key: string, minute: number, amount: number) =>
      driver.pipe('readings', { key, value: { at: minute * MINUTE, amount } }),
    /** Commits and reads what was announced. */
    async commit() {
      await driver.commit()
      return driver.readOutput('sums', produced).map(({ value }) => value)
    },
    async wait(ms: number) {
      await driver.advanceWallClock(ms)
      return driver.readOutput('sums', produced).map(({ value }) => value)
    },
  }
}

describe('an aggregate', () => {
  it('is published once per commit and changed key', async () => {
    const { driver, add } = createDriver()
    add('A', 1, 1)
    add('A', 1, 2)
    add('B', 1, 5)
    await driver.commit()
    const totals = { key: utf8, value: json<{ sum: number }>() }
    expect(driver.readOutput('totals', totals).map(({ key, value }) => [key, value.sum])).toEqual([
      ['A', 3],
      ['B', 5],
    ])
    await driver.commit()
    expect(driver.readOutput('totals', totals)).toEqual([])
  })
})

describe('windows', () => {
  it('are announced closed once, when stream time is closedAfterMs past their end', async () => {
    const { add, commit } = createDriver()
    add('A', 0.5, 1)
    add('A', 1.1, 2)
    const before = await commit()
    expect(before.filter(({ closed }) => closed)).toEqual([])
    add('A', 1.2, 4)
    expect(await commit()).toContainEqual({ size: '1m', start: 0, sum: 1, closed: true, revision: 0 })
    add('A', 1.3, 8)
    expect((await commit()).filter(({ closed }) => closed)).toEqual([])
  })

  it('take a late record after they were announced, and a correction with the next revision follows', async () => {
    const { add, commit } = createDriver()
    add('A', 0, 1)
    add('A', 30, 1)
    await commit()
    add('A', 0.5, 10)
    add('A', 0.6, 10)
    expect((await commit()).filter(({ size }) => size === '1m')).toEqual([
      { size: '1m', start: 0, sum: 21, closed: true, revision: 1 },
    ])
  })

  it('announce a window that opens late and is past already as closed, at once', async () => {
    const { add, commit } = createDriver()
    add('A', 30, 1)
    await commit()
    add('A', 3, 7)
    expect((await commit()).filter(({ size }) => size === '1m')).toEqual([
      { size: '1m', start: 3, sum: 7, closed: true, revision: 0 },
    ])
  })

  it('count what comes later than the grace and leave it out', async () => {
    const { driver, add, commit } = createDriver({ graceMs: 5 * MINUTE })
    add('A', 0, 1)
    add('A', 6.01, 1)
    add('A', 0.5, 100)
    add('A', 1.5, 10)
    const announced = await commit()
    expect(driver.lateRecords).toBe(1)
    expect(announced.find(({ size, start }) => size === '1m' && start === 0)?.sum).toBe(1)
    expect(announced.find(({ size, start }) => size === '1m' && start === 1)?.sum).toBe(10)
  })

  it('announce open windows at most every 250 ms, and the last state always', async () => {
    const { add, commit, wait } = createDriver()
    add('A', 0.1, 1)
    expect(await commit()).toEqual([{ size: '1m', start: 0, sum: 1, closed: false, revision: -1 }])
    add('A', 0.2, 1)
    expect(await commit()).toEqual([])
    add('A', 0.3, 1)
    expect(await wait(249)).toEqual([])
    expect(await wait(1)).toEqual([{ size: '1m', start: 0, sum: 3, closed: false, revision: -1 }])
    expect(await wait(1_000)).toEqual([])
  })

  it('close although their symbol and their partition have gone quiet', async () => {
    const { driver, add, commit, wait } = createDriver()
    add('A', 0.5, 1)
    await commit()
    expect(await wait(39_999)).toEqual([])
    expect(await wait(1)).toEqual([{ size: '1m', start: 0, sum: 1, closed: true, revision: 0 }])
    expect(driver.view().streamTimeMs).toBe(0.5 * MINUTE)
    add('A', 0.6, 1)
    expect((await commit()).filter(({ size }) => size === '1m')).toEqual([
      { size: '1m', start: 0, sum: 2, closed: true, revision: 1 },
    ])
    expect(driver.lateRecords).toBe(0)
  })
})

describe('rolled up windows', () => {
  it('are merged when their last part is announced', async () => {
    const { add, commit } = createDriver()
    for (let minute = 0; minute < 16; minute++) add('A', minute, 2 ** minute)
    const first = await commit()
    expect(first.filter(({ size }) => size === '5m')).toEqual([
      { size: '5m', start: 0, sum: 31, closed: true, revision: 0 },
      { size: '5m', start: 5, sum: 31 * 32, closed: true, revision: 0 },
    ])
    add('A', 15.2, 1)
    const second = (await commit()).filter(({ size }) => size !== '1m')
    expect(second).toEqual([
      { size: '5m', start: 10, sum: 31 * 1024, closed: true, revision: 0 },
      { size: '15m', start: 0, sum: 2 ** 15 - 1, closed: true, revision: 0 },
    ])
  })

  it('close without a record in their last part, also by quiet time', async () => {
    const { add, commit, wait } = createDriver()
    add('A', 1, 3)
    await commit()
    expect((await wait(70_000)).map(({ size }) => size)).toEqual(['1m'])
    expect(await wait(3 * MINUTE)).toEqual([{ size: '5m', start: 0, sum: 3, closed: true, revision: 0 }])
    expect(await wait(10 * MINUTE)).toEqual([{ size: '15m', start: 0, sum: 3, closed: true, revision: 0 }])
  })

  it('are told apart by the kind of their key: 1 and "1" are two', async () => {
    const key = json<number | string>()
    const store = (name: string) => windowStore(name, { key, value: json<number>(), retentionMs: 3 * DAY })
    const builder = new StreamsBuilder()
    builder
      .stream('readings', { key, value: json<Reading>(), timestamp: ({ at }) => at })
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: MINUTE, graceMs: DAY }))
      .aggregate(
        store('minutes'),
        () => 0,
        (sum, { amount }) => sum + amount,
      )
      .emit({ openAtMostEveryMs: 250, closedAfterMs: 0 })
      .rollUp(tumbling({ sizeMs: 5 * MINUTE, graceMs: DAY }), store('fives'), (parts) => parts.reduce((a, b) => a + b))
      .to('sums', { key, value: json<Announcement<number>>() })
    const driver = new TopologyTestDriver(builder.build())
    const add = (of: number | string, at: number, amount: number) =>
      driver.pipe('readings', { key: of, value: { at, amount }, partition: 0 })
    for (const at of [0, 6 * MINUTE]) {
      add(1, at, 1)
      add('1', at, 2)
    }
    await driver.commit()
    const sums = () =>
      driver
        .readOutput('sums', { key, value: json<Announcement<number>>() })
        .map(({ key, value }) => [key, value.value])
    const first = [
      [1, 1],
      ['1', 2],
    ]
    expect(sums()).toEqual(first)
    add(1, 30_000, 10)
    add('1', 30_000, 10)
    await driver.commit()
    expect(sums()).toEqual(first.map(([of, sum]) => [of, (sum as number) + 10]))
  })

  it('are corrected up the sizes when a part is corrected', async () => {
    const { add, commit } = createDriver()
    add('A', 0, 1)
    add('A', 60, 1)
    await commit()
    add('A', 0.5, 10)
    expect(await commit()).toEqual([
      { size: '1m', start: 0, sum: 11, closed: true, revision: 1 },
      { size: '5m', start: 0, sum: 11, closed: true, revision: 1 },
      { size: '15m', start: 0, sum: 11, closed: true, revision: 1 },
    ])
  })

  it('appear when the first part appears after their end', async () => {
    const { add, commit } = createDriver()
    add('A', 60, 1)
    await commit()
    add('A', 7, 4)
    expect(await commit()).toEqual([
      { size: '1m', start: 7, sum: 4, closed: true, revision: 0 },
      { size: '5m', start: 5, sum: 4, closed: true, revision: 0 },
      { size: '15m', start: 0, sum: 4, closed: true, revision: 0 },
    ])
  })
})

describe('a task that takes over', () => {
  it('closes and merges what its predecessor had open, and announces open windows once more', async () => {
    const { driver, add, commit, wait } = createDriver()
    add('A', 1, 1)
    add('A', 3, 2)
    await commit()
    await driver.restart()
    expect(await wait(0)).toEqual([{ size: '1m', start: 3, sum: 2, closed: false, revision: -1 }])
    add('A', 5.2, 4)
    expect(await commit()).toEqual([
      { size: '1m', start: 3, sum: 2, closed: true, revision: 0 },
      { size: '1m', start: 5, sum: 4, closed: false, revision: -1 },
      { size: '5m', start: 0, sum: 3, closed: true, revision: 0 },
    ])
    await driver.restart()
    add('A', 15.2, 8)
    expect((await commit()).filter(({ size }) => size !== '1m')).toEqual([
      { size: '5m', start: 5, sum: 4, closed: true, revision: 0 },
      { size: '15m', start: 0, sum: 7, closed: true, revision: 0 },
    ])
  })
})

describe('a task that takes over very many open windows', () => {
  it('announces them once more in several commits, each of them once, and closes at once what is due', async () => {
    const { driver, add, commit, wait } = createDriver()
    const keys = 11_000
    for (let n = 0; n < keys; n++) add(`key ${n}`, 1, n)
    await commit()
    await driver.restart()
    const counts: number[] = []
    const sums = new Set<number>()
    for (let commits = 0; commits < 3; commits++) {
      const announced = await wait(0)
      counts.push(announced.length)
      for (const { sum } of announced) sums.add(sum)
    }
    expect(counts).toEqual([10_000, 1_000, 0])
    expect(sums.size).toBe(keys)

    await driver.restart()
    add('key 0', 2.2, 1)
    const closed = (await commit()).filter((one) => one.closed)
    expect(closed).toHaveLength(keys)
    expect([...(await wait(0)), ...(await wait(0))], 'of what is closed').toEqual([])
  })

  it('merges their parts without keeping them where the cache is full', async () => {
    const [engine, budget, keys] = [new MemoryEngine(), new CacheBudget(0), 300]
    const value = storedWindowCodec(json<{ sum: number }>())
    for (let n = 0; n < keys * 5; n++) {
      const startMs = Math.floor(n / keys) * MINUTE
      const key = Buffer.concat([storePrefix('minutes'), windowKey(Buffer.from(`key ${n % keys}`), startMs)])
      await engine.write([{ key, value: value.encode({ startMs, value: { sum: 1 }, closed: true, revision: 0 }) }])
    }
    const sums: number[] = []
    const append = (_topic: string, _key: Buffer, value: Buffer) =>
      sums.push((JSON.parse(value.toString()) as Told).sum)
    const processor = new TaskProcessor({
      subTopology: createDriver().topology.subTopologies[0]!,
      partition: 0,
      engine,
      budget,
      output: { append } as never,
      handlers: {},
    })
    const atMs = 5 * MINUTE
    const clock = JSON.stringify({ streamTimeMs: atMs, closingClockMs: atMs, passedMs: atMs })
    await processor.reset(new Map([['readings', 0]]), clock)
    processor.quietFor(MINUTE)
    processor.freeze(0)
    expect(sums).toHaveLength(keys)
    expect(new Set(sums)).toEqual(new Set([5]))
    // The five and the fifteen minutes of each key, which are changed or looked at to be, and hardly one of their parts.
    expect(budget.misses).toBeLessThanOrEqual(2 * keys + 5)
  })
})

describe('a record that cannot be decoded', () => {
  it('goes to the dead-letter topic as it came, and the next ones are processed', async () => {
    const { driver, add, commit } = createDriver()
    driver.pipe('readings', { key: 'A', value: Buffer.from('{nonsense') })
    driver.pipe('readings', { key: 'A', value: { at: -5, amount: 1 } })
    add('A', 0, 1)
    expect(await commit()).toHaveLength(1)
    const [first, second] = driver.readRaw('readings.dlq')
    expect(first?.value?.toString()).toBe('{nonsense')
    expect(second?.value?.toString()).toContain('-5')
  })
})
