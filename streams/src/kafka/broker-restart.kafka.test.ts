import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafka, type KafkaServer } from '@candlewick/dev/local/kafka-server'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { KafkaError } from './errors.js'
import { IdempotentProducer } from './idempotent-producer.js'
import { RecordAccumulator } from './records/encode.js'
import { PATIENT, RealKafka } from './testing/real-kafka.js'
import { TransactionalProducer } from './transactional-producer.js'

let dir: string
let server: KafkaServer
let kafka: RealKafka
const warnings: string[] = []
const keepWarning = ({ message }: Error) => warnings.push(message)

beforeAll(async () => {
  process.on('warning', keepWarning)
  dir = await mkdtemp(join(tmpdir(), 'candlewick-restart-'))
  server = await startKafka({ dir })
  kafka = new RealKafka(server.brokers)
  await kafka.client.connect()
})
afterAll(async () => {
  process.off('warning', keepWarning)
  await kafka?.client.close()
  await server?.stop()
  await rm(dir, { recursive: true, force: true })
})

async function killAndRestart(): Promise<void> {
  server.kill('SIGKILL')
  await server.exited
  server = await startKafka({ dir, port: server.port })
}

it('records sent while the broker is killed and started again arrive once and in order', async () => {
  const topic = await kafka.topic(2)
  const states: string[] = []
  const producer = new IdempotentProducer(kafka.client, {
    maxBufferedBytes: 64 * 1024 * 1024,
    onState: (state) => states.push(state),
  })
  await producer.start()
  let next = 0
  const sending = setInterval(() => {
    for (let i = 0; i < 200; i++) {
      expect(producer.send(topic, next % 2, null, Buffer.from(`${next}`), Date.now())).toBe(true)
      next++
    }
  }, 10)
  try {
    await expect.poll(() => next, PATIENT).toBeGreaterThan(2000)
    await killAndRestart()
  } finally {
    clearInterval(sending)
  }
  await producer.close()
  expect(states).toEqual(['retrying', 'ok'])
  for (const partition of [0, 1]) {
    const numbers = (await kafka.values(topic, partition)).map(Number)
    expect(numbers).toEqual(Array.from({ length: next / 2 }, (_, index) => index * 2 + partition))
  }
  expect(kafka.log.count('Kafka broker lost')).toBe(1)
  expect(kafka.log.count('Kafka broker is back')).toBe(1)
})

it('transactions go on after the restart: every one is there whole or not at all, and the caller knows which', async () => {
  const topic = await kafka.topic(2)
  const transactionalId = kafka.name('txn')
  const txn = new TransactionalProducer(kafka.client, { transactionalId, transactionTimeoutMs: 10_000 })
  await txn.init()
  const committed = new Set<number>()
  const unknown = new Set<number>()
  let stop = false
  const run = async () => {
    for (let n = 0; !stop; n++) {
      const records = new RecordAccumulator()
      for (const partition of [0, 1]) records.append(topic, partition, null, Buffer.from(`${n}`), Date.now())
      try {
        await txn.produce(records)
        await txn.end('commit')
        committed.add(n)
      } catch (error) {
        expect(error).toBeInstanceOf(KafkaError)
        expect((error as KafkaError).kind).not.toBe('fatal')
        if ((error as KafkaError).outcomeUnknown) unknown.add(n)
        await txn.init()
      }
    }
  }
  const running = run()
  await expect.poll(() => committed.size, PATIENT).toBeGreaterThan(20)
  await killAndRestart()
  const before = committed.size
  await expect.poll(() => committed.size, PATIENT).toBeGreaterThan(before + 20)
  stop = true
  await running
  for (const partition of [0, 1]) await expect.poll(() => kafka.isDecided(topic, partition), PATIENT).toBe(true)
  const [first, second] = await Promise.all([0, 1].map((partition) => kafka.values(topic, partition)))
  expect(first).toEqual(second)
  const found = new Set(first!.map(Number))
  expect(found.size).toBe(first!.length)
  expect([...committed].filter((n) => !found.has(n))).toEqual([])
  expect([...found].filter((n) => !committed.has(n) && !unknown.has(n))).toEqual([])
})

it('an outage leaves nothing behind that grows (Node warns of piled up listeners)', () => {
  expect(warnings).toEqual([])
})
