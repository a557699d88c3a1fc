import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { AlertCheck } from './alert-check.js'
import { readAlerts } from './alert-reader.js'
import type { Alert } from './alert.js'
import { startApp } from './app.js'
import { jsonLines } from './console-log.js'
import { PaymentGenerator } from './generator.js'
import { PaymentSender, take } from './sender.js'
import { createTopics, topicNames } from './topics.js'

export interface DemoOptions {
  brokers: string[]
  stateDir: string
  /** Where queries are answered. */
  port: number
  paymentsPerSecond: number
  /** Ends the demo. */
  signal: AbortSignal
  say(line: string): void
}

const TICK_MS = 100
const STATUS_EVERY_MS = 5_000
/** After the last payment: how long its alerts are waited for. */
const PATIENCE_MS = 15_000

/** Runs the application in this process, sends it payments, and tells what it finds. @returns whether all was found, once */
export async function runDemo({ brokers, paymentsPerSecond, signal, say, ...options }: DemoOptions): Promise<boolean> {
  const kafka = { brokers, clientId: 'card-fraud-demo' }
  const { info: _info, ...problems } = jsonLines(say)
  const log = { ...problems, info: () => undefined }
  const topics = topicNames()
  const client = new KafkaClient(kafka, log)
  await client.connect()
  await createTopics(client, topics)

  const app = await startApp({ ...options, kafka, log })
  say('the rules are running')
  const check = new AlertCheck()
  let isFirst = true
  const reader = readAlerts(client, { topic: topics.alerts, startAt: 'latest', log }, (alert) => {
    check.add(alert)
    say(`ALERT ${textOf(alert)}`)
    if (isFirst) say(`ask about it:  curl '${app.url}/queries/card?key=${alert.card}'`)
    isFirst = false
  })
  await reader.start()
  const sender = new PaymentSender(client, topics.payments)
  await sender.start()
  const startMs = Date.now()
  const generator = new PaymentGenerator({ seed: 1, run: startMs.toString(36), startMs })
  const payments = generator.generate()
  const status = () => `${sender.sent} records sent, frauds among them: ${generator.planted.length}`
  say(`sending ${paymentsPerSecond} payments a second; by their clock a minute passes with every 200 of them`)

  let toldAtMs = startMs
  while (!signal.aborted) {
    const due = Math.floor(((Date.now() - startMs) / 1_000) * paymentsPerSecond)
    await sender.send(take(payments, due - sender.sent))
    if (Date.now() - toldAtMs >= STATUS_EVERY_MS) {
      toldAtMs = Date.now()
      say(status())
    }
    await sleep(TICK_MS, undefined, { signal }).catch(() => undefined)
  }

  const untilMs = Date.now() + PATIENCE_MS
  while (check.compare(generator.planted).missing.length > 0 && Date.now() < untilMs) await sleep(TICK_MS)
  await sender.close()
  await app.close()
  await reader.close()
  await client.close()
  const { missing, unexpected, repeated } = check.compare(generator.planted)
  say(`${status()}, and ${generator.garbage} that are no payments: see ${topics.deadLetters}`)
  say(`alerts missing: ${missing.length}, unexpected: ${unexpected.length}, told twice: ${repeated.length}`)
  for (const identity of [...missing, ...unexpected, ...repeated]) say(`  ${identity}`)
  return missing.length + unexpected.length + repeated.length === 0
}

function textOf(alert: Alert): string {
  switch (alert.rule) {
    case 'too-many':
      return `${alert.card}: ${alert.payments} payments within five minutes from ${timeOf(alert.windowStartMs)}`
    case 'too-much':
      return `${alert.card}: ${euros(alert.totalCents)} within five minutes from ${timeOf(alert.windowStartMs)}`
    case 'unusual':
      return `${alert.card}: pays ${euros(alert.amountCents)}, usually ${euros(alert.averageCents)}`
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(11, 16)
}

function euros(cents: number): string {
  return `${(cents / 100).toFixed(2)} EUR`
}
