import { setTimeout as delay } from 'node:timers/promises'
import { topicNames } from '@candlewick/schemas/topics'
import { createLogger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import type { FeedStatus } from '../exchange/feed.js'
import { sinkGroup, topicLags, type TopicLag } from '../stack/lag.js'
import type { Stack } from '../stack/start-stack.js'

export interface ReplayResult {
  /** Trades the exchange sent, and lines it did not send: no trades, or not subscribed. */
  sent: number
  skipped: number
  onTopic: number
  /** Trades that are in trades.dlq because the producer found them invalid. */
  rejected: number
  /** Sent, but neither on the topic nor rejected. */
  missing: number
  /** Since the producer was started. */
  onTopicMs: number
  foldedMs: number
  sunkMs: number
  topics: TopicLag[]
}

interface FollowOptions {
  log: (line: string) => void
  signal: AbortSignal
}

const POLL_MS = 200
const SAY_EVERY_MS = 10_000
/** When what the producer has sent no longer grows for so long, nothing more will come. */
const STILL_MS = 10_000

/** Waits until all that the exchange plays is on the topic, folded and in Cassandra. */
export async function followReplay(stack: Stack, { log, signal }: FollowOptions): Promise<ReplayResult> {
  const startedMs = stack.child('producer').launchedAtMs
  const client = new KafkaClient(
    { brokers: [stack.kafkaBrokers], clientId: 'replay' },
    createLogger('replay', 'silent'),
  )
  await client.connect()
  try {
    const admin = new KafkaAdmin(client)
    const { trades, deadLetters, averages, bars } = topicNames()
    let said = startedMs

    function say(line: () => string): void {
      if (Date.now() - said < SAY_EVERY_MS) return
      said = Date.now()
      log(line())
    }

    async function counts() {
      const [onTopic, rejected] = await topicLags(admin, [trades, deadLetters], undefined)
      return { onTopic: onTopic?.end ?? 0, rejected: rejected?.end ?? 0 }
    }

    let status: FeedStatus
    for (;;) {
      status = await exchangeStatus(stack)
      if (status.done) break
      say(() => `${status.sent.toLocaleString('en-US')} trades sent`)
      await delay(POLL_MS, undefined, { signal })
    }

    let { onTopic, rejected } = await counts()
    for (let changedMs = Date.now(); onTopic + rejected < status.sent && Date.now() - changedMs < STILL_MS;) {
      await delay(POLL_MS, undefined, { signal })
      const now = await counts()
      if (now.onTopic + now.rejected > onTopic + rejected) changedMs = Date.now()
      ;({ onTopic, rejected } = now)
    }
    const onTopicMs = Date.now() - startedMs

    async function untilDone(groupId: string, topics: string[]): Promise<TopicLag[]> {
      for (;;) {
        const lags = await topicLags(admin, topics, groupId)
        if (lags.every(({ end, lag }) => lag === 0 || end === 0)) return lags
        say(() => lags.map(({ topic, lag, end }) => `${groupId}: ${topic} ${lag ?? end} to go`).join(', '))
        await delay(POLL_MS, undefined, { signal })
      }
    }
    await untilDone(stack.applicationId, [trades])
    const foldedMs = Date.now() - startedMs
    const topics = await untilDone(sinkGroup(stack.applicationId), [trades, averages, bars])
    const sunkMs = Date.now() - startedMs
    const { sent, skipped } = status
    const missing = sent - onTopic - rejected
    return { sent, skipped, onTopic, rejected, missing, onTopicMs, foldedMs, sunkMs, topics }
  } finally {
    await client.close()
  }
}

async function exchangeStatus({ urls }: Stack): Promise<FeedStatus> {
  const answer = await fetch(`${urls.exchange}/status`)
  return (await answer.json()) as FeedStatus
}
