import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { RestoreProgress } from './changelog/restore-progress.js'
import { createMetrics } from './metrics.js'
import { utf8 } from './serde.js'
import { KeyValueStore } from './state/key-value-store.js'
import { MemoryEngine } from './state/memory-engine.js'
import { CacheBudget } from './state/cache-budget.js'
import { keyValueStore } from './topology/stores.js'

it('the input lag is asked for when metrics are read, and a partition that was lost is not told of any more', async () => {
  let lag = [
    { topic: 'trades', partition: 0, records: 5 },
    { topic: 'trades', partition: 7, records: 0 },
  ]
  const registry = new Registry()
  createMetrics(registry, { inputLag: () => lag })
  const seen = async () =>
    (await registry.getSingleMetricAsString('candlewick_streams_input_lag_records'))
      .split('\n')
      .filter((line) => !line.startsWith('#'))
  expect(await seen()).toEqual([
    'candlewick_streams_input_lag_records{topic="trades",partition="0"} 5',
    'candlewick_streams_input_lag_records{topic="trades",partition="7"} 0',
  ])
  lag = [{ topic: 'trades', partition: 7, records: 3 }]
  expect(await seen()).toEqual(['candlewick_streams_input_lag_records{topic="trades",partition="7"} 3'])
})

it('what grows with every record is a plain number until metrics are read, and hits and misses of the cache are both told', async () => {
  const registry = new Registry()
  const budget = new CacheBudget(1_000_000)
  createMetrics(registry, { cache: () => budget })
  const spec = keyValueStore('sums', { key: utf8, value: utf8 })
  const store = new KeyValueStore(spec, new MemoryEngine(), budget, { streamTimeMs: 0 })
  for (const key of ['a', 'b', 'a', 'a']) store.entry(key)
  const told = await registry.metrics()
  expect(told).toMatch(/^candlewick_streams_cache_hits_total 2$/m)
  expect(told).toMatch(/^candlewick_streams_cache_misses_total 2$/m)
  expect(told).toMatch(/^candlewick_streams_cache_limit_bytes 1000000$/m)
  expect(await registry.metrics(), 'reading counts nothing').toMatch(/^candlewick_streams_cache_hits_total 2$/m)
})

it('a restore tells what is left, its pace and the time left, per task and only while it is under way', async () => {
  const registry = new Registry()
  let nowMs = 0
  const restores = new RestoreProgress(() => nowMs)
  createMetrics(registry, { restoring: () => restores.list() })
  restores.report('0_1', { remaining: 1_000, applied: 0 })
  nowMs = 2_000
  restores.report('0_1', { remaining: 750, applied: 200 })
  const told = await registry.metrics()
  expect(told).toContain('candlewick_streams_restore_remaining_records{task="0_1"} 750')
  expect(told).toContain('candlewick_streams_restore_records_per_second{task="0_1"} 100')
  expect(told).toContain('candlewick_streams_restore_eta_seconds{task="0_1"} 6')
  restores.done('0_1')
  expect(await registry.metrics()).not.toContain('task="0_1"')
})

it('how far standbys are behind is asked for when metrics are read, per task, and a task that is none any more is not told of', async () => {
  const registry = new Registry()
  let lag = [
    { task: '0_1', records: 1_200 },
    { task: '0_4', records: 0 },
  ]
  createMetrics(registry, { standbyLag: () => lag })
  const told = await registry.metrics()
  expect(told).toContain('candlewick_streams_standby_lag_records{task="0_1"} 1200')
  expect(told, 'one that is up to date says so').toContain('candlewick_streams_standby_lag_records{task="0_4"} 0')
  lag = [{ task: '0_1', records: 7 }]
  const later = await registry.metrics()
  expect(later).toContain('candlewick_streams_standby_lag_records{task="0_1"} 7')
  expect(later).not.toContain('task="0_4"')
})
