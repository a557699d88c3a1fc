import { describe, expect, it } from 'vitest'
import { StreamTask } from '../processing/stream-task.js'
import { utf8, type Serde } from '../serde.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { StreamsBuilder } from '../topology/builder.js'
import type { Announcement } from '../topology/nodes.js'
import { windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'
import { CacheBudget } from './cache-budget.js'
import { firstKey } from './engine.js'
import { Expiry } from './expiry.js'
import { MemoryEngine } from './memory-engine.js'
import { storePrefix, storeRange, windowKey, windowStartOf } from './store-keys.js'
import { storedWindowCodec, WindowStore } from './window-store.js'

interface Event {
  atMs: number
}
const json = <T>(): Serde<T> => ({
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as T,
})
const HOUR = 3_600_000
const counts = windowStore('counts', { key: utf8, value: json<number>(), retentionMs: 3 * HOUR })

function createTopology(closedAfterMs = HOUR) {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: json<Event>(), timestamp: ({ atMs }) => atMs })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: HOUR, graceMs: HOUR }))
    .aggregate(
      counts,
      () => 0,
      (count) => count + 1,
    )
    .emit({ openAtMostEveryMs: 0, closedAfterMs })
    .filter(({ closed }) => closed)
    .to('out', { key: utf8, value: json<Announcement<number>>() })
  return builder.build()
}

/** A task whose engine has windows of the first hours, as a changelog still has them: it lets them go a week later. */
async function taskWithWindows(hours: number): Promise<{ task: StreamTask; engine: MemoryEngine }> {
  const engine = new MemoryEngine()
  const nothing = () => undefined
  const task = new StreamTask({
    subTopology: createTopology().subTopologies[0]!,
    partition: 0,
    directory: '',
    bootId: 'boot',
    makeEngine: () => engine,
    budget: new CacheBudget(1 << 20),
    output: { append: nothing, deadLetter: nothing, late: nothing } as never,
  })
  await task.open()
  await engine.write(Array.from({ length: hours }, (_, n) => ({ key: windowOf('a', n * HOUR), value: WINDOW })))
  return { task, engine }
}

const WINDOW = storedWindowCodec(json<number>()).encode({ startMs: 0, value: 1, closed: true, revision: 0 })
const windowOf = (key: string, startMs: number) =>
  Buffer.concat([storePrefix('counts'), windowKey(Buffer.from(key), startMs)])
const clockAt = (atMs: number) => JSON.stringify({ streamTimeMs: atMs, closingClockMs: atMs, passedMs: atMs })

async function windowsIn(engine: MemoryEngine): Promise<number[]> {
  const hours: number[] = []
  for await (const [key] of engine.entries(storeRange('counts'))) hours.push(windowStartOf(key) / HOUR)
  return hours
}

/** Of a store in this engine, with a clock that the test sets. */
function expiryOf(engine: MemoryEngine, clock = { streamTimeMs: 10 * HOUR, closingClockMs: 10 * HOUR }): Expiry {
  const store = new WindowStore(counts, engine, new CacheBudget(1 << 20))
  const remove = (keys: readonly Buffer[]) => engine.write(keys.map((key) => ({ key, value: undefined })))
  return new Expiry({ stores: new Map([['counts', store]]), clock, state: { remove } })
}

describe('windows past their retention', () => {
  it('that a restore has brought back are not shown, not merged, and dropped after the next commit', async () => {
    const { task, engine } = await taskWithWindows(10)
    await task.start(new Map([['in', 0]]), clockAt(9.5 * HOUR), 0)
    task.status = 'RUNNING'
    const shown = async () =>
      (
        await task
          .view()
          .window(counts)
          .fetch('a', 0, 20 * HOUR)
      ).map(({ startMs }) => startMs / HOUR)
    expect(await shown()).toEqual([7, 8, 9])
    expect(
      task
        .view()
        .window(counts)
        .get('a', 6 * HOUR),
    ).toBeUndefined()

    const value = json<Event>().encode({ atMs: 9.6 * HOUR })
    task.processor.visitor('in')(
      0,
      9.6 * HOUR,
      Buffer.concat([Buffer.from('a'), value, Buffer.of(0)]),
      0,
      1,
      1,
      1 + value.length,
      1 + value.length,
    )
    const frozen = task.processor.freeze(0)
    task.committed(frozen)
    await task.persist(frozen, new Map())
    expect(await task.expire()).toBe(7)
    expect(await windowsIn(engine)).toEqual([7, 8, 9])
    expect(await shown()).toEqual([7, 8, 9])
  })

  it('are dropped by a standby, too: nobody tells it that they are gone', async () => {
    const { task, engine } = await taskWithWindows(10)
    task.state.begin('counts', 'topic-id', 0)
    task.standBy()
    const replay = (position: number, atMs: number) =>
      task.state.replay({
        store: 'counts',
        changes: [{ key: windowKey(Buffer.from('b'), 9 * HOUR), value: WINDOW }],
        position,
        progress: atMs > 0 ? { inputs: { in: position }, clock: clockAt(atMs) } : null,
      })
    await replay(1, 0)
    expect(await task.expireStandby(1)).toBe(0)
    await replay(2, 9.5 * HOUR)
    expect(await task.expireStandby(1)).toBe(7)
    expect(await windowsIn(engine)).toEqual([7, 8, 9, 9])
  })

  it('are looked for a few keys at a time, and all of them are found', async () => {
    const engine = new MemoryEngine()
    await engine.write(Array.from({ length: 450 }, (_, n) => ({ key: windowOf(`key ${n}`, 0), value: WINDOW })))
    const expiry = expiryOf(engine)
    const run = () => expiry.run(0)
    expect([await run(), await run(), await run(), await run()]).toEqual([200, 200, 50, 0])
    expect(await firstKey(engine, storeRange('counts'))).toBeUndefined()
  })

  it('are dropped a thousand at a time, also where one key has many more', async () => {
    const engine = new MemoryEngine()
    await engine.write(Array.from({ length: 2_500 }, (_, n) => ({ key: windowOf('a', n), value: WINDOW })))
    const expiry = expiryOf(engine)
    expect([await expiry.run(0), await expiry.run(0), await expiry.run(0)]).toEqual([1_000, 1_000, 500])
    expect(await firstKey(engine, storeRange('counts'))).toBeUndefined()
  })

  it('do not become ever more where each commit brings a thousand keys that never come again', async () => {
    const [engine, clock] = [new MemoryEngine(), { streamTimeMs: 0, closingClockMs: 0 }]
    const expiry = expiryOf(engine, clock)
    const counted: number[] = []
    for (let hour = 0; hour < 40; hour++) {
      clock.streamTimeMs = clock.closingClockMs = hour * HOUR
      const keys = Array.from({ length: 1_000 }, (_, n) => `${hour} ${n}`)
      await engine.write(keys.map((key) => ({ key: windowOf(key, hour * HOUR), value: WINDOW })))
      await expiry.run(keys.length)
      counted.push((await windowsIn(engine)).length)
    }
    expect(Math.max(...counted)).toBeLessThanOrEqual(6_000)
  })

  it('are kept until they were announced closed, also when one record from the future moves stream time on', async () => {
    const driver = new TopologyTestDriver(createTopology())
    const at = (atMs: number, appendedMs: number) =>
      driver.pipe('in', { key: 'a', value: { atMs }, timestampMs: appendedMs })
    at(0.5 * HOUR, 0.5 * HOUR)
    await driver.commit()
    at(100 * HOUR, HOUR)
    await driver.commit()
    await driver.restart()
    expect(driver.view().window(counts).get('a', 0)?.value).toBe(1)
    at(101 * HOUR, 2 * HOUR)
    await driver.commit()
    const closed = driver.readOutput('out', { key: utf8, value: json<Announcement<number>>() })
    expect(closed.map(({ value }) => value.window.startMs)).toEqual([0])
  })

  it('may not be over before they are announced closed: the topology is refused', () => {
    expect(() => createTopology(2 * HOUR + 1)).toThrow('keeps windows for')
    expect(() => createTopology(2 * HOUR)).not.toThrow()
  })
})
