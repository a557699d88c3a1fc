import { randomBytes } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { createLogger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { waitForTopics } from './wait-for-topics.js'

it('waits until the topics are there', async () => {
  const log = createLogger('test', 'silent')
  const config = { brokers: inject('kafkaBrokers').split(','), clientId: 'wait-for-topics' }
  const topics = ['trades', 'bars'].map((name) => `wait-${randomBytes(4).toString('hex')}-${name}`)
  const client = new KafkaClient(config, log)
  await client.connect()
  const admin = new KafkaAdmin(client)
  try {
    let found = false
    const waiting = waitForTopics(config, topics, log).then(() => (found = true))
    await admin.createTopics([{ name: topics[0]!, partitions: 1 }])
    // One of two is not enough: it goes on waiting, else this look at the other topic would come too late.
    await expect(client.watchTopics([topics[1]!])).rejects.toThrow(/UNKNOWN_TOPIC|does not host/)
    expect(found).toBe(false)
    await admin.createTopics([{ name: topics[1]!, partitions: 1 }])
    expect(await waiting).toBe(true)
  } finally {
    await admin.deleteTopics(topics)
    await client.close()
  }
})
