import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { createMetrics } from '../metrics.js'
import { GivenUpCounts, GivenUpReport } from './given-up-counts.js'

function createReport() {
  const registry = new Registry()
  const lines: object[] = []
  const nothing = () => undefined
  const log = { debug: nothing, info: nothing, error: nothing, warn: (fields: object) => void lines.push(fields) }
  return { report: new GivenUpReport({ metrics: createMetrics(registry), log }), registry, lines }
}

function dropped(records: number, error: unknown = new Error('bad')): GivenUpCounts {
  const counts = new GivenUpCounts()
  for (let n = 0; n < records; n++) counts.add('dropped', { stage: 'processing', topic: 'in', partition: 0, error })
  return counts
}

it('what is left out and what is put aside are counted by topic and stage', async () => {
  const { report, registry } = createReport()
  const counts = dropped(3)
  counts.add('dead-letter', { stage: 'deserialization', topic: 'in', partition: 0, error: 'x' })
  report.committed(counts, 0)
  const told = await registry.metrics()
  expect(told).toContain('candlewick_streams_dropped_records_total{stage="processing",topic="in"} 3')
  expect(told).toContain('candlewick_streams_dead_letters_total{stage="deserialization",topic="in"} 1')
})

it('a flood of bad records is one line in ten seconds, with how many there were', () => {
  const { report, lines } = createReport()
  for (let atMs = 0; atMs < 10_000; atMs += 100) report.committed(dropped(100, new Error(`at ${atMs}`)), atMs)
  expect(lines).toEqual([{ stage: 'processing', topic: 'in', records: 100, lastError: 'at 0' }])
  report.committed(dropped(1), 10_000)
  expect(lines[1]).toMatchObject({ records: 99 * 100 + 1 })
})

it('what was held back is told by a later commit that gave nothing up, and at the end', () => {
  const { report, lines } = createReport()
  report.committed(dropped(1), 0)
  report.committed(dropped(7), 100)
  report.committed(new GivenUpCounts(), 10_100)
  expect(lines[1]).toMatchObject({ records: 7 })
  report.committed(dropped(2), 10_200)
  report.tell(10_300)
  report.tell(10_400)
  expect(lines.slice(2)).toMatchObject([{ records: 2 }])
})
