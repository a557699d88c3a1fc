import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { json, utf8 } from '@candlewick/streams'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'

const nowhere = () => undefined
const log = { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }
const TOPICS = ['lines', 'words', 'word-counts']

/** The program as it was built, in a folder of its own: its state lies where it runs. @returns its exit code, in time */
async function startProgram(brokers: string): Promise<{ ended: Promise<number | null> }> {
  const cwd = await mkdtemp(join(tmpdir(), 'word-count-'))
  const program = new URL('../dist/word-count.js', import.meta.url).pathname
  const child = spawn(process.execPath, [program], {
    cwd,
    env: { ...process.env, KAFKA_BROKERS: brokers },
    stdio: 'ignore',
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  onTestFinished(async () => {
    child.kill('SIGINT')
    expect(await ended).not.toBeNull()
    await rm(cwd, { recursive: true, force: true })
  })
  return { ended }
}

test('the program ends with code 1 when it cannot go on: here a topic is missing', async () => {
  const brokers = inject('kafkaBrokers')
  const client = new KafkaClient({ brokers: [brokers], clientId: 'test' }, log)
  onTestFinished(() => client.close())
  await client.connect()
  const admin = new KafkaAdmin(client)
  await admin.deleteTopics(['words'])
  await vi.waitUntil(async () => (await admin.describeTopics(['words'])).length === 0)
  const { ended } = await startProgram(brokers)
  expect(await ended).toBe(1)
})

test('the program counts the words of the lines, and ends by Ctrl-C', async () => {
  const brokers = inject('kafkaBrokers')
  const client = new KafkaClient({ brokers: [brokers], clientId: 'test' }, log)
  await client.connect()
  // Its topics and its group have the names they have in the README: others may use them on this broker too.
  await new KafkaAdmin(client).createTopics(TOPICS.map((name) => ({ name, partitions: 2 })))
  await client.watchTopics(TOPICS)
  const counts = new Map<string, number>()
  const reader = new TopicReader(client, {
    topics: ['word-counts'],
    startAt: 'latest',
    isolation: 'read_committed',
    log,
    onChunk: (chunk) => {
      visitRecords(chunk, 'read_committed', (_offset, _ms, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        counts.set(utf8.decode(bytes, keyStart, keyEnd), json(Number).decode(bytes, valueStart, valueEnd))
      })
    },
  })
  const producer = new IdempotentProducer(client, { maxBufferedBytes: 1 << 20 })
  onTestFinished(async () => {
    await producer.close()
    await reader.close()
    await client.close()
  })
  await reader.start()
  await producer.start()

  await startProgram(brokers)
  // Words nobody has counted before; letters only, as the program wants them.
  const [to, be, or] = ['to', 'be', 'or'].map((word) => word + letters())
  for (const line of [`${to} ${be}, ${or}`, `${to!.toUpperCase()} ${be}`, `${be}!`]) {
    producer.send('lines', null, Buffer.from('hamlet'), Buffer.from(line), Date.now())
  }
  await vi.waitUntil(() => counts.get(be!) === 3 && counts.get(to!) === 2 && counts.get(or!) === 1, { timeout: 30_000 })
})

function letters(): string {
  return [...randomBytes(8)].map((byte) => String.fromCharCode(97 + (byte % 26))).join('')
}
