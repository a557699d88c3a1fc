import { expect, test } from 'vitest'
import { topicNames, topicSpecs } from './topics.js'

test('every topic stamps records by the broker’s clock, or a replayed day of years ago would be deleted at once', () => {
  for (const { config } of topicSpecs({ partitions: 12, replicationFactor: 1 })) {
    expect(config['message.timestamp.type']).toBe('LogAppendTime')
  }
})

test('all topics have the same partitions, so that a symbol has the same number on each', () => {
  const specs = topicSpecs({ partitions: 12, replicationFactor: 3, prefix: 'a.' })
  expect(specs.map(({ name }) => name)).toEqual(Object.values(topicNames('a.')))
  expect(specs.map(({ partitions }) => partitions)).toEqual([12, 12, 12, 12])
})

test('with three copies two must hold a write; with one, one', () => {
  const replicas = (replicationFactor: number) =>
    topicSpecs({ partitions: 1, replicationFactor }).map(({ config }) => config['min.insync.replicas'])
  expect(replicas(3)).toEqual(['2', '2', '2', '2'])
  expect(replicas(1)).toEqual(['1', '1', '1', '1'])
})

test('compaction waits for a sink that was away', () => {
  const compacted = topicSpecs({ partitions: 1, replicationFactor: 1 }).filter(({ config }) =>
    config['cleanup.policy']?.includes('compact'),
  )
  expect(compacted.map(({ name }) => name)).toEqual(['averages', 'bars'])
  for (const { config } of compacted) expect(Number(config['min.compaction.lag.ms'])).toBeGreaterThanOrEqual(86_400_000)
})
