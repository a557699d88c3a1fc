import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import type { KafkaClient } from '../kafka/client.js'
import { readDeadLetter } from '../kafka/dead-letter.js'
import { KafkaError } from '../kafka/errors.js'
import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import type { GroupStanding, TransactionalOffset } from '../kafka/protocol/transactions.js'
import { RecordAccumulator } from '../kafka/records/encode.js'
import { recordsOf, type PlainRecord } from '../kafka/records/rebuild.js'
import type { OnRefused } from '../kafka/refused-records.js'
import { createMetrics } from '../metrics.js'
import type { ErrorHandlers } from '../processing/error-handlers.js'
import { StreamTask } from '../processing/stream-task.js'
import { utf8 } from '../serde.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { CommitPipeline } from './commit-pipeline.js'
import type { IntervalProducer } from './interval-producer.js'

const STAMP = { generationId: 1, memberId: 'member' }

/** One record per text, of key `key`. */
function chunkOf(texts: string[], fetchOffset = 0): FetchedChunk {
  const records = new RecordAccumulator()
  for (const text of texts) records.append('in', 0, Buffer.from('key'), Buffer.from(text), 0)
  const bytes = Buffer.concat(records.seal().flatMap(({ batches }) => batches.map((batch) => batch.bytes)))
  bytes.writeBigInt64BE(BigInt(fetchOffset), 0)
  const end = fetchOffset + texts.length
  const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0 }
  return { topic: 'in', partition: 0, fetchOffset, records: bytes, aborted: null, ...ends }
}

/** Takes what is committed, and fails or refuses as told. */
class FakeProducer implements IntervalProducer {
  readonly written: ({ topic: string } & PlainRecord)[] = []
  readonly offsets: (GroupStanding & { offsets: readonly TransactionalOffset[] })[] = []
  fails: Partial<Record<'produce' | 'sendOffsets' | 'end', Error>> = {}
  /** Values no broker takes, as `topic:text`. */
  refused: readonly string[] = []
  readonly #ends = new Map<string, number>()

  async init(): Promise<void> {}

  async produce(records: RecordAccumulator, onRefused?: OnRefused) {
    if (this.fails.produce !== undefined) throw this.fails.produce
    const offsets = new Map<string, Map<number, number>>()
    for (const { topic, partition, batches } of records.seal()) {
      const all = batches.flatMap(recordsOf)
      const isRefused = ({ value }: PlainRecord) => this.refused.includes(`${topic}:${value}`)
      const error = KafkaError.named('MESSAGE_TOO_LARGE', { topic, partition })
      if (all.some(isRefused)) onRefused!({ topic, partition, records: all.filter(isRefused), error })
      const taken = all.filter((record) => !isRefused(record))
      this.written.push(...taken.map((record) => ({ topic, ...record })))
      this.#ends.set(topic, (this.#ends.get(topic) ?? 0) + taken.length)
      offsets.set(topic, new Map([[partition, this.#ends.get(topic)!]]))
    }
    return offsets
  }

  async sendOffsets(group: GroupStanding, offsets: readonly TransactionalOffset[]): Promise<void> {
    if (this.fails.sendOffsets !== undefined) throw this.fails.sendOffsets
    this.offsets.push({ ...group, offsets })
  }

  async end(): Promise<void> {
    if (this.fails.end !== undefined) throw this.fails.end
  }

  values(topic: string): string[] {
    return this.written.filter((record) => record.topic === topic).map(({ value }) => value!.toString())
  }
}

/** An engine whose writes fail as told. */
class FailingEngine extends MemoryEngine {
  fails = false

  override async write(...args: Parameters<MemoryEngine['write']>): Promise<void> {
    if (this.fails) throw new Error('disk full')
    return super.write(...args)
  }
}

/** Passes texts on to `out`, and keeps the last one of each key. */
async function createPipeline({ createdAt = true, handlers = {} as ErrorHandlers } = {}) {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  const budget = new CacheBudget(1 << 20)
  const producer = new FakeProducer()
  const engine = new FailingEngine()
  const builder = new StreamsBuilder()
  const decoded: string[] = []
  const input = builder.stream('in', {
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
  input.to('out', { key: utf8, value: utf8 })
  input.groupByKey().aggregate(
    keyValueStore('last', { key: utf8, value: utf8 }),
    () => '',
    (_, value) => (value === 'huge' ? 'x'.repeat(1_000_001) : value),
  )
  const topology = builder.build()
  let persisted = 0
  const pipeline = new CommitPipeline({
    applicationId: 'app',
    topology,
    handlers,
    client: { partitionCount: () => 1 } as unknown as KafkaClient,
    producer,
    metrics,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    budget,
    commitIntervalMs: 100,
    maxRecords: 3,
    maxBytes: 1_000_000,
    minIntervalMs: 20,
    compression: 'none',
    afterCommit: async () => void persisted++,
    onSettled: () => undefined,
  })
  const task = new StreamTask({
    subTopology: topology.subTopologies[0]!,
    partition: 0,
    directory: '',
    bootId: 'boot',
    makeEngine: () => engine,
    budget,
    output: pipeline.output,
    handlers,
  })
  await task.open()
  task.state.begin('last', 'topic-id', 0)
  await task.start(new Map([['in', 0]]), '{}', 0)
  const failures: unknown[] = []
  let offset = 0
  function process(texts: string[], stamp = STAMP): void {
    pipeline.begin(stamp, performance.now())
    pipeline.processed(task.processor.process(chunkOf(texts, offset)))
    offset += texts.length
  }
  const start = (stamp = STAMP) => pipeline.start([task], stamp, (error) => failures.push(error))
  async function run(texts: string[]): Promise<void> {
    process(texts)
    start()
    await pipeline.settled()
  }
  async function endToEnd() {
    const { values } = (await registry.getSingleMetric('candlewick_streams_end_to_end_seconds')!.get()) as {
      values: { metricName?: string; value: number }[]
    }
    const valueOf = (suffix: string) => values.find(({ metricName }) => metricName?.endsWith(suffix))?.value ?? 0
    return { count: valueOf('_count'), sum: valueOf('_sum') }
  }
  const commits = () => persisted
  return { pipeline, task, producer, engine, process, start, run, endToEnd, failures, decoded, registry, commits }
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
    const { run, endToEnd, failures, registry, producer } = await createPipeline()
    producer.fails.end = new Error('fenced')
    await run(['1'])
    expect(failures).toHaveLength(1)
    expect((await endToEnd()).count).toBe(0)
    expect(await registry.metrics()).toMatch(/candlewick_streams_commit_errors_total 1/)
  })
})

describe('an interval', () => {
  it('is committed with the generation of its first record, whatever the member’s is by then', async () => {
    const { process, start, pipeline, producer } = await createPipeline()
    process(['1'])
    process(['2'], { generationId: 2, memberId: 'again' })
    start({ generationId: 3, memberId: 'once more' })
    await pipeline.settled()
    expect(producer.offsets).toMatchObject([{ groupId: 'app', ...STAMP, offsets: [{ topic: 'in', offset: 2 }] }])
    process(['3'], { generationId: 3, memberId: 'once more' })
    start()
    await pipeline.settled()
    expect(producer.offsets[1]).toMatchObject({ generationId: 3, memberId: 'once more', offsets: [{ offset: 3 }] })
  })

  it('takes records while the one before is being committed, and is full at its limit until it is frozen', async () => {
    const { process, start, pipeline, producer } = await createPipeline()
    process(['1'])
    start()
    expect(pipeline.busy).toBe(true)
    process(['2', '3'])
    expect(pipeline.isFull).toBe(false)
    process(['4'])
    expect(pipeline.isFull).toBe(true)
    expect(() => start(), 'one at a time').toThrow('under way')
    await pipeline.settled()
    expect(producer.values('out')).toEqual(['1'])
    expect(pipeline.hasWork).toBe(true)
    start()
    expect(pipeline.hasWork).toBe(false)
    await pipeline.settled()
    expect(producer.values('out')).toEqual(['1', '2', '3', '4'])
  })

  it('that was dropped is not committed, and what comes after it is', async () => {
    const { process, start, pipeline, task, producer } = await createPipeline()
    process(['1'])
    pipeline.drop()
    expect(pipeline.hasWork).toBe(false)
    task.rollBack(0)
    await task.start(new Map([['in', 1]]), '{}', 0)
    process(['2'])
    start()
    await pipeline.settled()
    expect(producer.values('out')).toEqual(['2'])
    expect(producer.values('app-last-changelog')).toEqual(['2'])
  })

  it('of which nothing but announcements is due is committed with the generation it is given', async () => {
    const { start, pipeline, producer } = await createPipeline()
    start({ generationId: 7, memberId: 'm' })
    await pipeline.settled()
    expect(producer.offsets).toMatchObject([{ generationId: 7, memberId: 'm', offsets: [{ offset: 0 }] }])
  })
})

describe('a commit that fails', () => {
  it.each(['produce', 'sendOffsets', 'end'] as const)('at %s leaves the engine as it was', async (step) => {
    const { run, producer, failures, engine, task, commits } = await createPipeline()
    await run(['1'])
    producer.fails = { [step]: new Error('away') }
    await run(['2'])
    expect(failures).toMatchObject([{ message: 'away' }])
    expect(commits()).toBe(1)
    expect(task.state.progress?.inputs).toEqual({ in: 1 })
    const values: string[] = []
    for await (const [, value] of engine.entries({ from: Buffer.of(0), to: Buffer.of(255) })) values.push(String(value))
    expect(values).toContain('1')
    expect(values).not.toContain('2')
  })

  it('while it is persisted is a failure too, after which the task does not persist again before it was reopened', async () => {
    const { run, engine, failures, task, producer } = await createPipeline()
    engine.fails = true
    await run(['1'])
    expect(failures).toMatchObject([{ message: expect.stringContaining('disk full') }])
    expect(producer.offsets, 'Kafka has it').toHaveLength(1)
    expect(task.state.broken).toBe(true)
  })

  it('has counted nothing as put aside: it will be, when the records come again', async () => {
    const { run, producer, registry } = await createPipeline()
    const counted = /dead_letters_total\{.*\} 1/
    producer.fails.end = new Error('away')
    await run(['bad'])
    expect(await registry.metrics()).not.toMatch(counted)
    producer.fails = {}
    await run(['bad'])
    expect(await registry.metrics()).toMatch(counted)
  })
})

describe('a record that no broker takes', () => {
  it('is put aside in the same commit, counted, and the others go on', async () => {
    const { run, producer, failures, registry } = await createPipeline()
    producer.refused = ['out:b']
    await run(['a', 'b', 'c'])
    expect(failures).toEqual([])
    expect(producer.values('out')).toEqual(['a', 'c'])
    const letter = producer.written.find(({ topic }) => topic === 'dlq')!
    expect(letter).toMatchObject({ key: Buffer.from('key'), value: Buffer.from('b') })
    expect(readDeadLetter(letter.headers)).toMatchObject({ exception: 'MESSAGE_TOO_LARGE' })
    expect(await registry.metrics()).toContain('dead_letters_total{stage="production",topic="out"} 1')
  })

  it('is left out where a handler says so, which sees where it was to go', async () => {
    const seen: unknown[] = []
    const handlers: ErrorHandlers = {
      onProductionError(context, error) {
        seen.push(context, error)
        return 'continue'
      },
    }
    const { run, producer, registry } = await createPipeline({ handlers })
    producer.refused = ['out:b']
    await run(['b', 'c'])
    expect(producer.values('out')).toEqual(['c'])
    expect(producer.values('dlq')).toEqual([])
    expect(await registry.metrics()).toContain('dropped_records_total{stage="production",topic="out"} 1')
    expect(seen).toMatchObject([{ node: 'sink out', topic: 'out', partition: 0, value: Buffer.from('b') }, { name: 'MESSAGE_TOO_LARGE' }]) // prettier-ignore
  })

  it('stops the application when it is a change of a store, whatever a handler says, and says what to do', async () => {
    const { run, producer, failures } = await createPipeline({ handlers: { onProductionError: 'continue' } })
    producer.refused = ['app-last-changelog:b']
    await run(['b'])
    expect(failures).toMatchObject([
      { code: 'PRODUCTION', concerns: { store: 'last', key: 'key', topic: 'app-last-changelog', partition: 0 } },
    ])
    expect(String(failures[0])).toContain('max.message.bytes')
  })

  it('is known before it is sent when it is too large for any batch: a store’s change stops the application', async () => {
    const { process, start } = await createPipeline()
    process(['huge'])
    expect(() => start()).toThrow(
      expect.objectContaining({
        code: 'PRODUCTION',
        concerns: expect.objectContaining({ task: '0_0', store: 'last' }),
      }),
    )
  })

  it('stops the application when it is a dead letter: what is put aside must not vanish', async () => {
    const { run, producer, failures } = await createPipeline()
    producer.refused = ['dlq:bad']
    await run(['bad'])
    expect(failures).toMatchObject([{ code: 'PRODUCTION', concerns: { topic: 'dlq' } }])
  })
})
