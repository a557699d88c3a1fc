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

describe('windows past their retention', () => {
  it('that a restore has brought back are not shown, not merged, and dropped after the next commit', async () => {
    const engine = new MemoryEngine()
    const codec = storedWindowCodec(json<number>())
    const prefix = storePrefix('counts')
    const appended: string[] = []
    const task = new StreamTask({
      subTopology: createTopology().subTopologies[0]!,
      partition: 0,
      directory: '',
      bootId: 'boot',
      makeEngine: () => engine,
      budget: new CacheBudget(1 << 20),
      output: {
        append: (_topic: string, _key: Buffer, value: Buffer) => appended.push(value.toString()),
        deadLetter: () => undefined,
        late: () => undefined,
      } as never,
    })
    await task.open()
    // What a changelog still has: it lets windows go a week after the store does.
    await engine.write(
      Array.from({ length: 10 }, (_, n) => ({
        key: Buffer.concat([prefix, windowKey(Buffer.from('a'), n * HOUR)]),
        value: codec.encode({ startMs: n * HOUR, value: 1, closed: true, revision: 0 }),
      })),
    )
    const clock = JSON.stringify({ streamTimeMs: 9.5 * HOUR, closingClockMs: 9.5 * HOUR, passedMs: 9.5 * HOUR })
    await task.start(new Map([['in', 0]]), clock, 0)
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
    const left: number[] = []
    for await (const [key] of engine.entries(storeRange('counts'))) left.push(windowStartOf(key) / HOUR)
    expect(left).toEqual([7, 8, 9])
    expect(await shown()).toEqual([7, 8, 9])
  })

  it('are looked for a few keys at a time, and all of them are found', async () => {
    const engine = new MemoryEngine()
    const store = new WindowStore(counts, engine, new CacheBudget(1 << 20))
    const codec = storedWindowCodec(json<number>())
    await engine.write(
      Array.from({ length: 450 }, (_, n) => ({
        key: Buffer.concat([storePrefix('counts'), windowKey(Buffer.from(`key ${n}`), 0)]),
        value: codec.encode({ startMs: 0, value: 1, closed: true, revision: 0 }),
      })),
    )
    const remove = (keys: readonly Buffer[]) => engine.write(keys.map((key) => ({ key, value: undefined })))
    const clock = { streamTimeMs: 10 * HOUR, closingClockMs: 10 * HOUR }
    const expiry = new Expiry({ stores: new Map([['counts', store]]), clock, state: { remove } })
    expect([await expiry.run(), await expiry.run(), await expiry.run(), await expiry.run()]).toEqual([200, 200, 50, 0])
    expect(await firstKey(engine, storeRange('counts'))).toBeUndefined()
  })

  it('are dropped a thousand at a time, also where one key has many more', async () => {
    const engine = new MemoryEngine()
    const store = new WindowStore(counts, engine, new CacheBudget(1 << 20))
    const value = storedWindowCodec(json<number>()).encode({ startMs: 0, value: 1, closed: true, revision: 0 })
    const keyOf = (n: number) => Buffer.concat([storePrefix('counts'), windowKey(Buffer.from('a'), n)])
    await engine.write(Array.from({ length: 2_500 }, (_, n) => ({ key: keyOf(n), value })))
    const remove = (keys: readonly Buffer[]) => engine.write(keys.map((key) => ({ key, value: undefined })))
    const clock = { streamTimeMs: 10 * HOUR, closingClockMs: 10 * HOUR }
    const expiry = new Expiry({ stores: new Map([['counts', store]]), clock, state: { remove } })
    expect([await expiry.run(), await expiry.run(), await expiry.run()]).toEqual([1_000, 1_000, 500])
    expect(await firstKey(engine, storeRange('counts'))).toBeUndefined()
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
