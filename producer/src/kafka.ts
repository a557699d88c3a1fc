import { setTimeout as sleep } from 'node:timers/promises'
import { tradeCodec } from '@candlewick/schemas/codecs'
import type { Logger } from '@candlewick/service/logger'
import { StartError } from '@candlewick/service/process'
import type { KafkaClient } from '@candlewick/streams/kafka/client'
import { KafkaError } from '@candlewick/streams/kafka/errors'
import type { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'

const RETRY_MS = 1_000

/**
 * Connects to Kafka, waiting as long as it takes: for the brokers, and for the topics to be created.
 * Each new reason to wait is logged once.
 * @throws StartError when waiting cannot help (a login that is refused); AbortError when `signal` aborts
 */
export async function connectToKafka(
  client: KafkaClient,
  producer: IdempotentProducer,
  topics: readonly string[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let told = ''
  for (;;) {
    try {
      await client.connect()
      await client.watchTopics(topics)
      await tradeCodec.prepare()
      await producer.start()
      return
    } catch (error) {
      signal.throwIfAborted()
      const reason = reasonToWait(error)
      if (reason === undefined) throw new StartError(`Kafka: ${(error as Error).message}`, { cause: error })
      if (reason !== told) log.warn({ reason }, 'waiting for Kafka')
      told = reason
    }
    await sleep(RETRY_MS, undefined, { signal })
  }
}

function reasonToWait(error: unknown): string | undefined {
  if (!(error instanceof KafkaError)) throw error
  const isMissingTopic = error.name === 'UNKNOWN_TOPIC_OR_PARTITION'
  return error.kind === 'retriable' || isMissingTopic ? error.message : undefined
}
