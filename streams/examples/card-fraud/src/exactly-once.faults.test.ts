import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { freePort } from '@candlewick/dev/local/ports'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { AlertCheck } from './alert-check.js'
import { readAlerts } from './alert-reader.js'
import type { Payment } from './payment.js'
import { PaymentGenerator } from './generator.js'
import { PaymentSender, take } from './sender.js'
import { createTopics, topicNames } from './topics.js'

const PARTITIONS = 4
const TOTAL = 10_000
const nowhere = () => undefined
const quiet = { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }

/** A process of the application as it was built. */
function startProcess(env: Record<string, string>): ChildProcess {
  const program = new URL('../dist/app-main.js', import.meta.url).pathname
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(() => kill(child))
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

test('every planted fraud is told of exactly once, and nothing else, although a process is killed in the middle', async () => {
  const prefix = `fraud-${randomBytes(4).toString('hex')}-`
  const topics = topicNames(prefix)
  const brokers = inject('kafkaBrokers')
  const client = new KafkaClient({ brokers: [brokers], clientId: 'test' }, quiet)
  const admin = new KafkaAdmin(client)
  await client.connect()
  await createTopics(client, topics, PARTITIONS)
  const stateDir = await mkdtemp(join(tmpdir(), prefix))
  const port = await freePort()
  const check = new AlertCheck()
  const reader = readAlerts(client, { topic: topics.alerts, startAt: 'earliest', log: quiet }, (alert) =>
    check.add(alert),
  )
  const sender = new PaymentSender(client, topics.payments)
  onTestFinished(async () => {
    await sender.close()
    await reader.close()
    const changelogs = ['windows', 'cards', 'told'].map((store) => `${prefix}card-fraud-${store}-changelog`)
    await admin.deleteTopics([...Object.values(topics), ...changelogs])
    await client.close()
    await rm(stateDir, { recursive: true, force: true })
  })
  await reader.start()
  await sender.start()

  const env = { KAFKA_BROKERS: brokers, STATE_DIR: stateDir, PORT: String(port), TOPIC_PREFIX: prefix }
  const generator = new PaymentGenerator({ seed: 5, run: prefix, startMs: Date.now() })
  const payments = generator.generate()
  const told = () => generator.planted.length - check.compare(generator.planted).missing.length
  const first = startProcess(env)
  const sending = (async () => {
    for (let tick = 0; tick < TOTAL / 125; tick++) {
      await sender.send(take(payments, 125))
      await setTimeout(25)
    }
  })()
  await vi.waitUntil(() => told() >= 3, { timeout: 30_000, interval: 5 })
  await kill(first)
  expect(sender.sent, 'it was killed in the middle').toBeLessThan(TOTAL)
  startProcess(env)
  await sending

  const partitions = [...Array(PARTITIONS).keys()]
  const ends = await admin.listOffsets(topics.payments, partitions, 'latest', 'read_uncommitted')
  const isThrough = async () => {
    const inputs = new Map([[topics.payments, partitions]])
    const committed = await admin.committedOffsets(`${prefix}card-fraud`, inputs, { requireStable: true })
    return committed.every(({ partition, offset }) => offset === ends.get(partition))
  }
  await vi.waitUntil(isThrough, { timeout: 60_000, interval: 100 })
  await reader.caughtUp()
  expect(generator.planted.length).toBeGreaterThan(15)
  expect(check.compare(generator.planted)).toEqual({ missing: [], unexpected: [], repeated: [] })

  // What was counted can be asked for: each payment of a card once.
  const card = `card-${prefix}-199`
  const mine = [...take(new PaymentGenerator({ seed: 5, run: prefix, startMs: Date.now() }).generate(), TOTAL)]
    .flatMap((item) => (item.kind === 'payment' ? [item.payment] : []))
    .filter((payment: Payment) => payment.card === card)
  const answer = await fetch(`http://127.0.0.1:${port}/queries/card?key=${card}`)
  expect(await answer.json()).toMatchObject({
    result: { payments: mine.length, totalCents: mine.reduce((sum, { amountCents }) => sum + amountCents, 0) },
    source: { role: 'active', staleMs: 0 },
  })
})
