import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { createMetrics } from './metrics.js'

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
