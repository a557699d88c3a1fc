import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { KafkaAdmin } from './kafka/admin.js'
import { KafkaClient } from './kafka/client.js'
import type { KafkaLog } from './kafka/config.js'
import { TopicReader } from './kafka/topic-reader.js'
import { visitRecords } from './kafka/records/decode.js'

const PARTITIONS = 6
const KEYS = 30
const quiet: KafkaLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

type Line = { message: string; state?: string; records?: number; ms?: number; tasks?: string[] }

/** One process of the application (testing/counting-app.ts, as built), and everything it told. */
class AppProcess {
  readonly lines: Line[] = []
  readonly #child: ChildProcess

  constructor(instance: string, run: string, brokers: string, directory: string) {
    const program = new URL('../dist/testing/counting-app.js', import.meta.url).pathname
    const env = {
      ...process.env,
      APP_RUN: run,
      APP_BROKERS: brokers,
      APP_INSTANCE: instance,
      APP_STATE_DIR: join(directory, instance),
    }
    this.#child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(JSON.parse(line) as Line))
  }

  get replayed(): number {
    return this.lines.reduce((sum, { message, records }) => (message === 'state is complete' ? sum + records! : sum), 0)
  }

  async running(): Promise<void> {
    await vi.waitFor(() => expect(this.lines.findLast(({ state }) => state !== undefined)?.state).toBe('RUNNING'), {
      timeout: 30_000,
      interval: 20,
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }
}

let brokers = ''
let run = ''
let directory = ''
let client: KafkaClient
let producer: Producer
let apps: AppProcess[] = []
let sent = 0

beforeEach(async () => {
  brokers = inject('kafkaBrokers')
  run = `crash-${randomUUID().slice(0, 8)}`
  directory = await mkdtemp(join(tmpdir(), 'candlewick-crash-'))
  client = new KafkaClient({ brokers: [brokers], clientId: run }, quiet)
  await client.connect()
  await new KafkaAdmin(client).createTopics(
    ['in', 'out'].map((name) => ({ name: `${run}-${name}`, partitions: PARTITIONS })),
  )
  producer = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  sent = 0
})

afterEach(async () => {
  await Promise.all(apps.map((app) => app.end('SIGKILL')))
  apps = []
  await producer.disconnect()
  await new KafkaAdmin(client).deleteTopics(['in', 'out', 'sums-changelog'].map((name) => `${run}-${name}`))
  await client.close()
  await rm(directory, { recursive: true, force: true })
})

function start(instance: string): AppProcess {
  const app = new AppProcess(instance, run, brokers, directory)
  apps.push(app)
  return app
}

/** Adds 1 to every key, so many times. */
async function send(rounds: number): Promise<void> {
  const messages = Array.from({ length: rounds * KEYS }, (_, n) => ({ key: `key ${n % KEYS}`, value: '1' }))
  await producer.send({ topic: `${run}-in`, messages })
  sent += rounds
}

/** The committed output: per key every sum that was published, in order. */
async function outputs(): Promise<Map<string, number[]>> {
  const published = new Map<string, number[]>()
  const reader = new TopicReader(client, {
    topics: [`${run}-out`],
    startAt: 'earliest',
    isolation: 'read_committed',
    log: quiet,
    onChunk: (chunk) => {
      visitRecords(chunk, 'read_committed', (_offset, _ms, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        const key = bytes.toString('utf8', keyStart, keyEnd)
        const sums = published.get(key) ?? []
        published.set(key, sums)
        sums.push(Number(bytes.toString('utf8', valueStart, valueEnd)))
      })
    },
  })
  await reader.start()
  await reader.caughtUp()
  await reader.close()
  return published
}

/** Every key has its exact sum, and no published sum ever went down: nothing lost, nothing counted twice. */
async function exact(): Promise<void> {
  await vi.waitFor(
    async () => {
      const published = await outputs()
      expect(published.size).toBe(KEYS)
      for (const sums of published.values()) expect(sums.at(-1)).toBe(sent)
    },
    { timeout: 45_000, interval: 250 },
  )
  for (const sums of (await outputs()).values()) expect(sums).toEqual([...sums].sort((a, b) => a - b))
}

describe('after kill -9', () => {
  it('nothing is lost or counted twice, again and again, and only the tail is replayed', async () => {
    let victim = start('a')
    await start('b').running()
    await victim.running()
    await send(1_000)
    for (let kill = 0; kill < 4; kill++) {
      await send(200)
      await victim.end('SIGKILL')
      await send(200)
      victim = start('a')
      await victim.running()
    }
    await exact()
    // What the crashed instance had was complete up to its last commit: never more than what one commit can hold.
    for (const app of apps.slice(2)) expect(app.replayed).toBeLessThan(5_000)
  })

  it('processes again within seconds when it is restarted in place', async () => {
    const first = start('a')
    await first.running()
    await send(500)
    await exact()
    await first.end('SIGKILL')
    const again = start('a')
    await again.running()
    expect(again.replayed).toBeLessThanOrEqual(KEYS)
    await send(10)
    await exact()
  })

  it('its partitions are taken over by the other instance', async () => {
    const first = start('a')
    await start('b').running()
    await first.running()
    await send(300)
    await first.end('SIGKILL')
    await send(300)
    await exact()
  })
})

describe('a frozen instance that wakes up after it was expelled', () => {
  it('commits nothing of what it had under way, and joins again', async () => {
    const frozen = start('a')
    const other = start('b')
    await Promise.all([frozen.running(), other.running()])
    await send(100)
    const sending = send(2_000)
    frozen.signal('SIGSTOP')
    await sending
    await vi.waitFor(
      () => expect(other.lines.findLast(({ message }) => message === 'tasks assigned')?.tasks).toHaveLength(PARTITIONS),
      { timeout: 30_000, interval: 50 },
    )
    await send(100)
    frozen.signal('SIGCONT')
    await send(100)
    await exact()
  })
})
