import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from './application.js'
import { KeptLog } from './kafka/testing/test-cluster.js'
import { utf8 } from './serde.js'
import type { InstanceOptions } from './instance/stream-instance.js'
import { StreamsBuilder } from './topology/builder.js'

const seen = vi.hoisted(() => [] as InstanceOptions[])

/** Stands for everything that talks to Kafka. */
vi.mock('./instance/stream-instance.js', () => ({
  StreamInstance: class {
    constructor(options: InstanceOptions) {
      seen.push(options)
    }
    run = async () => undefined
    stop = () => undefined
    close = async () => undefined
  },
}))

let stateDir = ''
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'candlewick-application-'))
})
afterEach(() => rm(stateDir, { recursive: true, force: true }))

const builder = new StreamsBuilder()
builder.stream('in', { key: utf8, value: utf8 }).to('out', { key: utf8, value: utf8 })

async function startedWith(changes: Partial<KafkaStreamsOptions>): Promise<InstanceOptions> {
  const kafka = { brokers: ['127.0.0.1:1'], clientId: 'test' }
  const app = new KafkaStreams(builder.build(), {
    applicationId: 'app',
    kafka,
    stateDir,
    log: new KeptLog(),
    ...changes,
  })
  await app.start()
  await app.close()
  return seen.at(-1)!
}

it('a dead process costs ten seconds unless told otherwise: its session and its open transaction end then', async () => {
  const { sessionTimeoutMs, heartbeatIntervalMs, transactionTimeoutMs, rebalanceTimeoutMs } = await startedWith({})
  expect({ sessionTimeoutMs, heartbeatIntervalMs, transactionTimeoutMs, rebalanceTimeoutMs }).toEqual({
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 500,
    transactionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
  })
})

it('is exactly once, with one warm copy of every state, unless told otherwise', async () => {
  expect(await startedWith({})).toMatchObject({ guarantee: 'exactly-once', standbyReplicas: 1, commitIntervalMs: 100 })
})

it('timeouts that are given are those that hold', async () => {
  const given = {
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 200,
    transactionTimeoutMs: 7_000,
    rebalanceTimeoutMs: 9,
  }
  expect(await startedWith(given)).toMatchObject(given)
})
