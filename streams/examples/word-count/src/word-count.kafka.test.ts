import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject, onTestFinished, test, vi } from 'vitest'
import { json, utf8 } from '@candlewick/streams'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'

const nowhere = () => undefined
const log = { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }
const TOPICS = ['lines', 'words', 'word-counts']

/** The program as it was built, in a folder of its own: its state lies where it runs. */
async function startProgram(brokers: string): Promise<void> {
  const cwd = await mkdtemp(join(tmpdir(), 'word-count-'))
  const program = new URL('../dist/word-count.js', import.meta.url).pathname
  const child = spawn(process.execPath, [program], {
    cwd,
    env: { ...process.env, KAFKA_BROKERS: brokers },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGINT')
    await exited
    await rm(cwd, { recursive: true, force: true })
  })
}

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
