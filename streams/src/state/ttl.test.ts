import { describe, expect, it } from 'vitest'
import { utf8, type Serde } from '../serde.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { CacheBudget } from './cache-budget.js'
import type { EngineWrite } from './engine.js'
import { KeyValueStore } from './key-value-store.js'
import { MemoryEngine } from './memory-engine.js'
import { storePrefix, storeRange } from './store-keys.js'

interface Event {
  n: number
  atMs: number
}
const json = <T>(): Serde<T> => ({
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as T,
})
const TTL_MS = 100
const number = json<number>()
const sums = keyValueStore('sums', { key: utf8, value: number, ttlMs: TTL_MS })

function createDriver(): TopologyTestDriver {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: json<Event>(), timestamp: ({ atMs }) => atMs })
    .groupByKey()
    .aggregate(
      sums,
      () => 0,
      (sum, { n }) => sum + n,
    )
    .toStream()
    .to('out', { key: utf8, value: number })
  return new TopologyTestDriver(builder.build())
}

/** A store alone, with its clock and what a commit does with it. */
function createStore(spec = sums) {
  const engine = new MemoryEngine()
  const clock = { streamTimeMs: 0 }
  const budget = new CacheBudget(1 << 20)
  const store = new KeyValueStore(spec, engine, budget, clock)
  const changelog: EngineWrite[] = []
  function put(key: string, value: number): void {
    const entry = store.entry(key)
    entry.value = value
    store.changed(entry)
  }
  /** @returns the keys that were deleted */
  async function commit(): Promise<string[]> {
    const changes = store.freeze()
    changelog.push(...changes)
    const prefix = storePrefix(spec.name)
    await engine.write(changes.map(({ key, value }) => ({ key: Buffer.concat([prefix, key]), value })))
    store.persisted()
    await store.findExpired()
    return changes.filter(({ value }) => value === undefined).map(({ key }) => key.toString())
  }
  async function stored(): Promise<number> {
    let count = 0
    for await (const entry of engine.entries(storeRange(spec.name))) count += entry.length / 2
    return count
  }
  return { engine, clock, store, put, commit, stored, changelog }
}

describe('a value with a ttl', () => {
  it('is gone for who folds, asks and lists, a ttl of stream time after its last change and not before', async () => {
    const driver = createDriver()
    const pipe = (key: string, atMs: number) => driver.pipe('in', { key, value: { n: 1, atMs } })
    pipe('a', 0)
    pipe('a', 50)
    pipe('b', 149)
    await driver.commit()
    expect(driver.view().keyValue(sums).get('a')).toBe(2)
    pipe('b', 150)
    await driver.commit()
    for (const isolation of ['committed', 'latest'] as const) {
      const view = driver.view({}, isolation).keyValue(sums)
      expect(view.get('a')).toBeUndefined()
      expect(await view.all()).toEqual([['b', 2]])
      expect(await view.all({ limit: 1 }), 'what is over does not count').toEqual([['b', 2]])
    }
    pipe('a', 150)
    await driver.commit()
    expect(driver.view().keyValue(sums).get('a'), 'it begins anew').toBe(1)
  })

  it('is over at the same record wherever commits and restarts come between', async () => {
    let seed = 7
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
    const model = new Map<string, { sum: number; changedAtMs: number }>()
    const driver = createDriver()
    let streamTimeMs = 0
    for (let step = 0; step < 3_000; step++) {
      const key = `key ${random(20)}`
      const atMs = Math.max(0, streamTimeMs + random(30) - 10)
      driver.pipe('in', { key, value: { n: 1, atMs } })
      streamTimeMs = Math.max(streamTimeMs, atMs)
      const known = model.get(key)
      const goesOn = known !== undefined && known.changedAtMs + TTL_MS > streamTimeMs
      model.set(key, { sum: goesOn ? known.sum + 1 : 1, changedAtMs: streamTimeMs })
      if (random(10) > 0) continue
      await driver.commit()
      if (random(5) === 0) await driver.restart()
      const expected = [...model]
        .filter(([, { changedAtMs }]) => changedAtMs + TTL_MS > streamTimeMs)
        .map(([key, { sum }]) => [key, sum])
        .sort(([a], [b]) => (a! < b! ? -1 : 1))
      expect(await driver.view().keyValue(sums).all()).toEqual(expected)
    }
  })

  it('publishes nothing when it is over', async () => {
    const driver = createDriver()
    driver.pipe('in', { key: 'a', value: { n: 1, atMs: 0 } })
    for (const atMs of [100, 200, 300]) {
      driver.pipe('in', { key: 'b', value: { n: 1, atMs } })
      await driver.commit()
    }
    const published = driver.readOutput('out', { key: utf8, value: number }).map(({ key }) => key)
    expect(published).toEqual(['a', 'b', 'b', 'b'])
  })
})

describe('values that are over', () => {
  it('are deleted by the commits that follow, some at a time, in the changelog too', async () => {
    const { clock, put, commit, stored, changelog } = createStore()
    for (let n = 0; n < 2_500; n++) put(`key ${n}`, n)
    await commit()
    clock.streamTimeMs = TTL_MS * 2
    const deleted: number[] = []
    for (let n = 0; n < 6; n++) {
      // A round under way goes on where it is: what it has passed is looked at an eighth of the ttl later.
      clock.streamTimeMs += Math.ceil(TTL_MS / 8)
      put('other', n)
      deleted.push((await commit()).length)
    }
    expect(Math.max(...deleted)).toBeLessThanOrEqual(1_000)
    expect(deleted.reduce((sum, count) => sum + count)).toBe(2_500)
    expect(await stored()).toBe(1)
    const folded = new Map(changelog.map(({ key, value }) => [key.toString(), value]))
    expect([...folded].filter(([, value]) => value !== undefined).map(([key]) => key)).toEqual(['other'])
  })

  it('do not become ever more where each commit brings two thousand keys that never come again', async () => {
    const { clock, put, commit, stored } = createStore()
    const deleted: number[] = []
    for (let n = 0; n < 30; n++) {
      clock.streamTimeMs = n * 20
      for (let key = 0; key < 2_000; key++) put(`${n} ${key}`, n)
      deleted.push((await commit()).length)
    }
    // Five commits of values that are not over, and what the rounds have not come to yet.
    expect(await stored()).toBeLessThanOrEqual(20_000)
    expect(Math.max(...deleted)).toBeLessThanOrEqual(8_000)
  })

  it('are not looked for more often than that some can be over', async () => {
    const { engine, clock, put, commit } = createStore()
    let scans = 0
    const entries = engine.entries.bind(engine)
    engine.entries = (scan) => {
      scans++
      return entries(scan)
    }
    put('a', 1)
    for (clock.streamTimeMs = 0; clock.streamTimeMs < TTL_MS; clock.streamTimeMs++) await commit()
    expect(scans).toBe(1)
    await commit()
    expect(scans).toBe(2)
  })

  it('stay when they were changed between being found and being deleted', async () => {
    const { engine, clock, store, put, commit, stored } = createStore()
    put('kept', 1)
    put('again', 1)
    put('gone', 1)
    await commit()
    clock.streamTimeMs = TTL_MS
    await commit()
    put('kept', 2)
    await commit()
    // The same, changed and stored already when the deletion comes, with no object left in the cache.
    const late = createStore()
    late.put('again', 1)
    await late.commit()
    late.clock.streamTimeMs = TTL_MS
    await late.store.findExpired()
    const again = late.store.entry('again')
    again.value = 5
    late.store.changed(again)
    expect(late.store.freeze()).toHaveLength(1)
    expect(await stored()).toBe(1)
    expect(store.entry('kept').value).toBe(2)
    expect(engine.get(Buffer.concat([storePrefix('sums'), Buffer.from('gone')]))).toBeUndefined()
  })

  it('stay over for who restores the changelog before they were deleted', async () => {
    const { clock, put, commit, changelog } = createStore()
    put('a', 1)
    await commit()
    clock.streamTimeMs = 60
    put('b', 1)
    await commit()
    const restored = createStore()
    const prefix = storePrefix('sums')
    await restored.engine.write(changelog.map(({ key, value }) => ({ key: Buffer.concat([prefix, key]), value })))
    restored.clock.streamTimeMs = TTL_MS
    expect(restored.store.entry('a').value).toBeUndefined()
    expect(restored.store.entry('b').value).toBe(1)
  })
})

describe('a store', () => {
  it('without a ttl is stored as its serde writes it', () => {
    const { store, put } = createStore(keyValueStore('plain', { key: utf8, value: number }))
    put('a', 12)
    expect(store.freeze().map(({ value }) => value?.toString())).toEqual(['12'])
  })

  it('with a ttl over values of one without says so instead of reading nonsense', async () => {
    const { engine, store } = createStore()
    const key = (text: string) => Buffer.concat([storePrefix('sums'), Buffer.from(text)])
    await engine.write([
      { key: key('a'), value: Buffer.from('1') },
      { key: key('b'), value: Buffer.from('{"n": 123456789}') },
    ])
    for (const each of ['a', 'b']) expect(() => store.entry(each)).toThrow("store 'sums' has a ttl")
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses a ttl of %s', (ttlMs) => {
    expect(() => keyValueStore('x', { key: utf8, value: number, ttlMs })).toThrow(RangeError)
  })
})
