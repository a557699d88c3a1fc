import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import type { KafkaClient } from '@candlewick/streams/kafka/client'

/** The topics of the example; a prefix lets several run on one cluster. */
export function topicNames(prefix = '') {
  return {
    payments: `${prefix}payments`,
    alerts: `${prefix}fraud-alerts`,
    /** Payments that cannot be read, as they came. */
    deadLetters: `${prefix}payments.dlq`,
  }
}

export type TopicNames = ReturnType<typeof topicNames>

/** Makes the topics that are missing. An application makes none but its changelogs: a misspelled name is an error. */
export async function createTopics(client: KafkaClient, topics: TopicNames, partitions = 4): Promise<void> {
  await new KafkaAdmin(client).createTopics(Object.values(topics).map((name) => ({ name, partitions })))
}
