import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import type { KafkaClient } from '../kafka/client.js'
import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { RecordAccumulator } from '../kafka/records/encode.js'
import type { TransactionalProducer } from '../kafka/transactional-producer.js'
import { createMetrics } from '../metrics.js'
import { StreamTask } from '../processing/stream-task.js'
import { utf8 } from '../serde.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { StreamsBuilder } from '../topology/builder.js'
import { CommitPipeline } from './commit-pipeline.js'

const STAMP = { generationId: 1, memberId: 'member' }

/** The texts are when they entered the system. */
function chunkOf(texts: string[]): FetchedChunk {
  const records = new RecordAccumulator()
  for (const text of texts) records.append('in', 0, Buffer.from('key'), Buffer.from(text), 0)
  const bytes = Buffer.concat(records.seal().flatMap(({ batches }) => batches.map((batch) => batch.bytes)))
  const end = texts.length
  const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0 }
  return { topic: 'in', partition: 0, fetchOffset: 0, records: bytes, aborted: null, ...ends }
}

async function createPipeline({ fails = false, createdAt = true } = {}) {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  const budget = new CacheBudget(1 << 20)
  const producer = {
    produce: async () => new Map(),
    sendOffsets: async () => undefined,
    end: async () => {
      if (fails) throw new Error('fenced')
    },
  } as unknown as TransactionalProducer
  const pipeline = new CommitPipeline({
    applicationId: 'app',
    client: { partitionCount: () => 1 } as unknown as KafkaClient,
    producer,
    metrics,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    budget,
    commitIntervalMs: 100,
    maxRecords: 1_000,
    maxBytes: 1_000_000,
    minIntervalMs: 20,
    compression: 'none',
    afterCommit: async () => undefined,
    onSettled: () => undefined,
  })
  const builder = new StreamsBuilder()
  const decoded: string[] = []
  builder
    .stream('in', {
      key: utf8,
      value: utf8,
      deadLetterTopic: 'dlq',
      check: (value) => (value === 'bad' ? 'bad' : undefined),
      ...(createdAt && {
        createdAt: (value: string) => {
          decoded.push(value)
          return Number(value)
        },
      }),
    })
    .to('out', { key: utf8, value: utf8 })
  const task = new StreamTask({
    subTopology: builder.build().subTopologies[0]!,
    partition: 0,
    directory: '',
    bootId: 'boot',
    makeEngine: () => new MemoryEngine(),
    budget,
    output: pipeline.output,
  })
  await task.open()
  await task.start(new Map([['in', 0]]), '{}', 0)
  const failures: unknown[] = []
  async function run(texts: string[]): Promise<void> {
    pipeline.begin(STAMP, performance.now())
    pipeline.processed(task.processor.process(chunkOf(texts)))
    pipeline.start([task], STAMP, (error) => failures.push(error))
    await pipeline.settled()
  }
  async function endToEnd() {
    const { values } = (await registry.getSingleMetric('candlewick_streams_end_to_end_seconds')!.get()) as {
      values: { metricName?: string; value: number }[]
    }
    const valueOf = (suffix: string) => values.find(({ metricName }) => metricName?.endsWith(suffix))?.value ?? 0
    return { count: valueOf('_count'), sum: valueOf('_sum') }
  }
  return { run, endToEnd, failures, decoded, registry }
}

describe('the time from end to end', () => {
  it('is taken once for each chunk, from when its first record entered the system until the commit', async () => {
    const { run, endToEnd, decoded } = await createPipeline()
    const enteredMs = Date.now() - 5_000
    await run([String(enteredMs), String(enteredMs + 1), String(enteredMs + 2)])
    const { count, sum } = await endToEnd()
    expect(count).toBe(1)
    expect(sum).toBeGreaterThanOrEqual(5)
    expect(sum).toBeLessThan(60)
    expect(decoded, 'the other records are not looked at').toEqual([String(enteredMs)])
  })

  it('is not taken of a record that does not say, and of a clock ahead of ours it is 0', async () => {
    const { run, endToEnd, failures } = await createPipeline()
    await run(['bad', '1'])
    expect((await endToEnd()).count).toBe(0)
    await run([String(Date.now() + 60_000)])
    expect(await endToEnd()).toEqual({ count: 1, sum: 0 })
    expect(failures).toEqual([])
  })

  it('is not taken where the topology does not say when a record entered', async () => {
    const { run, endToEnd } = await createPipeline({ createdAt: false })
    await run(['1'])
    expect((await endToEnd()).count).toBe(0)
  })

  it('is not taken of a commit that failed, which is counted', async () => {
    const { run, endToEnd, failures, registry } = await createPipeline({ fails: true })
    await run(['1'])
    expect(failures).toHaveLength(1)
    expect((await endToEnd()).count).toBe(0)
    expect(await registry.metrics()).toMatch(/candlewick_streams_commit_errors_total 1/)
  })
})
