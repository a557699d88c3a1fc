import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafka } from '@candlewick/dev/local/kafka-server'
import { ChangelogReader } from '@candlewick/streams/changelog/changelog-reader'
import { RestoreProgress } from '@candlewick/streams/changelog/restore-progress'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { LevelDbEngine } from '@candlewick/streams/state/leveldb-engine'
import { MemoryEngine } from '@candlewick/streams/state/memory-engine'
import { TaskState } from '@candlewick/streams/state/task-state'

/**
 * Restores the lost state of several tasks at once from real changelogs and prints the pace: by the clock, and by the CPU
 * of this process, which does not count what the broker and others on the machine take.
 */
const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '3000000' },
    keys: { type: 'string', default: '200000' },
    tasks: { type: 'string', default: '6' },
    engine: { type: 'string', default: 'leveldb' },
  },
})
const [records, keys, tasks] = [options.records, options.keys, options.tasks].map(Number) as [number, number, number]
const VALUE_BYTES = 60
const TOPIC = 'restore-changelog'
const log = { debug: () => undefined, info: () => undefined, warn: console.warn, error: console.error }

const dir = await mkdtemp(join(tmpdir(), 'candlewick-bench-'))
const kafka = await startKafka({ dir: join(dir, 'kafka') })
const client = new KafkaClient({ brokers: [kafka.brokers], clientId: 'bench' }, log)
try {
  await client.connect()
  const admin = new KafkaAdmin(client)
  await admin.createTopics([{ name: TOPIC, partitions: tasks, config: { 'cleanup.policy': 'compact' } }])
  await client.watchTopics([TOPIC])
  await fill()
  const ends = await admin.listOffsets(
    TOPIC,
    Array.from({ length: tasks }, (_, at) => at),
    'latest',
    'read_committed',
  )
  const topicId = (await admin.describeTopics([TOPIC]))[0]!.topicId
  for (let run = 1; run <= 3; run++) await restore(run, topicId, ends)
} finally {
  await client.close()
  await kafka.stop()
  await rm(dir, { recursive: true, force: true })
}

async function fill(): Promise<void> {
  const producer = new IdempotentProducer(client, { maxBufferedBytes: 64 << 20 })
  await producer.start()
  const value = Buffer.alloc(VALUE_BYTES)
  for (let n = 0; n < records; n++) {
    // Every key again and again, in an order that is not that of the bytes.
    const key = Buffer.from(`key ${(n * 7919) % keys}`)
    value.writeUInt32BE(n)
    while (!producer.send(TOPIC, null, key, value, Date.now())) await producer.whenBelow(32 << 20)
  }
  await producer.flush()
  await producer.close()
}

async function restore(run: number, topicId: string, ends: ReadonlyMap<number, number>): Promise<void> {
  const restores = new RestoreProgress()
  const reader = new ChangelogReader(client, {
    log,
    restores,
    onStandbyWritten: async () => undefined,
    onStandbyFailure: (_task, error) => log.error(error),
  })
  const states = await Promise.all(
    [...ends.keys()].map(async (partition) => {
      const make = options.engine === 'memory' ? () => new MemoryEngine() : (where: string) => new LevelDbEngine(where)
      const state = new TaskState(`0_${partition}`, join(dir, `run-${run}-${partition}`), 'boot', make)
      await state.open()
      state.begin('store', topicId, 0)
      return { state, partition }
    }),
  )
  const [startedAtMs, cpu] = [performance.now(), process.cpuUsage()]
  const restored = await Promise.all(
    states.map(({ state, partition }) => {
      const target = { state, store: 'store', topic: TOPIC, partition, endOffset: ends.get(partition)! }
      return reader.restore(state, [target], new AbortController().signal)
    }),
  )
  const seconds = (performance.now() - startedAtMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const total = restored.reduce<number>((sum, count) => sum + count!, 0)
  const pace = (value: number) => `${Math.round(total / value).toLocaleString('en')}/s`
  console.log(
    `run ${run}: ${total.toLocaleString('en')} records of ${keys.toLocaleString('en')} keys into ${tasks} ${options.engine} ` +
      `engines in ${seconds.toFixed(2)} s: ${pace(seconds)} by the clock, ${pace((user + system) / 1e6)} by CPU time`,
  )
  await reader.close()
  for (const { state } of states) await state.close()
}
