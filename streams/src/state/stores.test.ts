import { describe, expect, it } from 'vitest'
import type { Serde } from '../serde.js'
import { json as jsonOf, utf8 } from '../serde.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import type { Engine } from './engine.js'
import { KeyValueStore } from './key-value-store.js'
import { MemoryEngine } from './memory-engine.js'
import { CacheBudget } from './cache-budget.js'
import { storePrefix } from './store-keys.js'
import { WindowStore } from './window-store.js'

const json: Serde<{ n: number }> = {
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as { n: number },
}
const spec = keyValueStore('counts', { key: utf8, value: json })
const clock = { streamTimeMs: 0 }

/** What a commit does with a store: freeze, write, unpin. `persist` is the last part, which may come later. */
function freeze(store: KeyValueStore<string, { n: number }>, engine: Engine) {
  const prefix = storePrefix(spec.name)
  const writes = store.freeze().map(({ key, value }) => ({ key: Buffer.concat([prefix, key]), value }))
  return async function persist() {
    await engine.write(writes, { sync: false })
    store.persisted()
  }
}

function add(store: KeyValueStore<string, { n: number }>, key: string): void {
  const entry = store.entry(key)
  entry.value = { n: (entry.value?.n ?? 0) + 1 }
  store.changed(entry)
}

describe('a key-value store', () => {
  it('loses no update when objects are evicted at every commit', async () => {
    const engine = new MemoryEngine()
    const store = new KeyValueStore(spec, engine, new CacheBudget(0), clock)
    for (let round = 1; round <= 5; round++) {
      for (const key of ['a', 'b', 'c']) add(store, key)
      await freeze(store, engine)()
    }
    expect(['a', 'b', 'c'].map((key) => store.entry(key).value)).toEqual([{ n: 5 }, { n: 5 }, { n: 5 }])
  })

  it('never evicts what the engine does not have yet: an entry frozen in one interval is seen by the next', async () => {
    const engine = new MemoryEngine()
    const store = new KeyValueStore(spec, engine, new CacheBudget(0), clock)
    add(store, 'a')
    const persistFirst = freeze(store, engine)
    add(store, 'a')
    await persistFirst()
    add(store, 'a')
    await freeze(store, engine)()
    expect(store.entry('a').value).toEqual({ n: 3 })
  })

  it('tells keys apart by their kind: 1 and "1", null and "null", true and "true" are two each', async () => {
    const engine = new MemoryEngine()
    const mixed = keyValueStore('mixed', { key: jsonOf<unknown>(), value: json })
    const store = new KeyValueStore(mixed, engine, new CacheBudget(1 << 20), clock)
    const keys = [1, '1', null, 'null', true, 'true', [1], '[1]']
    keys.forEach((key, n) => {
      const entry = store.entry(key)
      expect(entry.value).toBeUndefined()
      entry.value = { n }
      store.changed(entry)
    })
    expect(keys.map((key) => store.entry(key).value?.n)).toEqual(keys.map((_key, n) => n))
    expect(store.freeze().map(({ key }) => key.toString())).toEqual(keys.map((key) => JSON.stringify(key)))
  })

  it('encodes each changed key once per freeze, and unchanged ones not at all', async () => {
    const engine = new MemoryEngine()
    const store = new KeyValueStore(spec, engine, new CacheBudget(1 << 20), clock)
    add(store, 'a')
    add(store, 'a')
    add(store, 'b')
    expect(store.freeze().map(({ key }) => key.toString())).toEqual(['a', 'b'])
    store.persisted()
    expect(store.freeze()).toEqual([])
  })

  it('goes back to what the engine has when it is cleared', async () => {
    const engine = new MemoryEngine()
    const store = new KeyValueStore(spec, engine, new CacheBudget(1 << 20), clock)
    add(store, 'a')
    await freeze(store, engine)()
    add(store, 'a')
    store.clear()
    expect(store.entry('a').value).toEqual({ n: 1 })
    expect(store.freeze()).toEqual([])
  })

  it('counts what it pins and lets it go again', async () => {
    const engine = new MemoryEngine()
    const budget = new CacheBudget(1_000)
    const store = new KeyValueStore(spec, engine, budget, clock)
    for (let n = 0; n < 10; n++) add(store, `key ${n}`)
    expect(budget.mustFreeze).toBe(true)
    await freeze(store, engine)()
    expect(budget.mustFreeze).toBe(false)
    await freeze(store, engine)() // what was not used since the last commit goes
    expect(budget.usedBytes).toBeLessThanOrEqual(budget.limitBytes)
    store.clear()
    expect(budget.usedBytes).toBe(0)
  })
})

describe('the cache of a process', () => {
  it('lets objects of an idle store go when another one needs the room', async () => {
    const budget = new CacheBudget(20_000)
    const create = () => {
      const engine = new MemoryEngine()
      return { engine, store: new KeyValueStore(spec, engine, budget, clock) }
    }
    const [idle, busy] = [create(), create()]
    for (let n = 0; n < 30; n++) add(idle.store, `key ${n}`)
    await freeze(idle.store, idle.engine)()
    const ofIdle = budget.usedBytes
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 40; n++) add(busy.store, `key ${n}`)
      await freeze(busy.store, busy.engine)()
    }
    expect(budget.usedBytes).toBeLessThanOrEqual(budget.limitBytes)
    const left = budget.usedBytes
    idle.store.clear()
    expect(left - budget.usedBytes).toBeLessThan(ofIdle)
    expect(idle.store.entry('key 7').value, 'and are read again').toEqual({ n: 1 })
    expect(busy.store.entry('key 7').value).toEqual({ n: 4 })
  })
})

describe('a window store', () => {
  const windows = windowStore('minutes', { key: utf8, value: json, retentionMs: 100 })

  async function filled() {
    const engine = new MemoryEngine()
    const store = new WindowStore(windows, engine, new CacheBudget(1 << 20))
    for (const key of ['A', 'AA', 'B', '\0', 'A\0']) {
      for (const startMs of [10, 20, 30]) {
        const entry = store.entry(key, startMs)
        entry.value = { startMs, value: { n: startMs }, closed: startMs === 10, revision: startMs === 10 ? 2 : -1 }
        store.changed(entry)
      }
    }
    const prefix = storePrefix('minutes')
    await engine.write(store.freeze().map(({ key, value }) => ({ key: Buffer.concat([prefix, key]), value })))
    store.persisted()
    store.clear()
    return { engine, store }
  }

  it('keeps flags and revision with the value', async () => {
    const { store } = await filled()
    expect(store.entry('A', 10).value).toEqual({ startMs: 10, value: { n: 10 }, closed: true, revision: 2 })
    expect(store.entry('A', 30).value).toEqual({ startMs: 30, value: { n: 30 }, closed: false, revision: -1 })
    expect(store.entry('A', 40).value).toBeUndefined()
  })

  it('keeps nothing that is only looked at while the cache is full', async () => {
    const { engine } = await filled()
    const budget = new CacheBudget(1_000)
    const store = new WindowStore(windows, engine, budget)
    for (let twice = 0; twice < 2; twice++) {
      for (const key of ['A', 'AA', 'B', '\0', 'A\0']) {
        for (const startMs of [10, 20, 30]) expect(store.peek(key, startMs)?.value).toEqual({ n: startMs })
        expect(store.peek(key, 40)).toBeUndefined()
      }
    }
    expect(budget.usedBytes).toBeLessThanOrEqual(2 * budget.limitBytes)
    const changed = store.entry('B', 20)
    changed.value!.value.n = 7
    store.changed(changed)
    expect(store.peek('B', 20)?.value, 'what is there is seen as it is').toEqual({ n: 7 })
  })

  it('finds the windows from a moment on for every key, also where one key begins like another', async () => {
    const { store } = await filled()
    const found: string[] = []
    for await (const { key, startMs } of store.windowsFrom(20)) found.push(`${key}@${startMs}`)
    expect(found.sort()).toEqual(
      ['\0@20', '\0@30', 'A@20', 'A@30', 'A\0@20', 'A\0@30', 'AA@20', 'AA@30', 'B@20', 'B@30'].sort(),
    )
  })

  it('names just the expired windows', async () => {
    const { engine, store } = await filled()
    const expired: Buffer[] = []
    for await (const keys of store.expired(20, 3)) expired.push(...keys)
    expect(expired).toHaveLength(5)
    await engine.write(expired.map((key) => ({ key, value: undefined })))
    expect(store.entry('AA', 10).value).toBeUndefined()
    expect(store.entry('AA', 20).value).toBeDefined()
  })
})
