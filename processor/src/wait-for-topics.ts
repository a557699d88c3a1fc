import type { Logger } from '@candlewick/service/logger'
import { tryFor } from '@candlewick/service/try-for'
import type { KafkaConfig } from '@candlewick/streams/kafka/config'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { KafkaError } from '@candlewick/streams/kafka/errors'

/**
 * Resolves when Kafka is there and has the topics: they are made by a job that may start at the same time, and the
 * application takes missing ones for a mistake.
 * @throws KafkaError when waiting cannot help (a login that is refused)
 */
export async function waitForTopics(config: KafkaConfig, topics: readonly string[], log: Logger): Promise<void> {
  const client = new KafkaClient(config, log)
  const look = async () => {
    await client.connect()
    await client.watchTopics(topics)
  }
  const mayPass = (error: unknown) =>
    error instanceof KafkaError && (error.kind === 'retriable' || error.name === 'UNKNOWN_TOPIC_OR_PARTITION')
  try {
    await tryFor(Infinity, look, { log, mayPass })
  } finally {
    await client.close()
  }
}
