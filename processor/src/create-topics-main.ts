#!/usr/bin/env node
import { topicSpecs } from '@candlewick/schemas/topics'
import { kafkaConfig } from '@candlewick/service/kafka-settings'
import { runProcess, StartError } from '@candlewick/service/process'
import { tryFor, WAITING_SETTINGS } from '@candlewick/service/try-for'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { KafkaError } from '@candlewick/streams/kafka/errors'
import { CREATE_TOPICS_SETTINGS } from './settings.js'

runProcess({
  name: 'create-topics',
  summary: 'creates the topics trades, trades.dlq, averages and bars; those that exist are left as they are.',
  settings: { ...CREATE_TOPICS_SETTINGS, ...WAITING_SETTINGS },
  checks: [(settings) => kafkaConfig(settings, 'create-topics')],
  kind: 'job',
  async run({ settings, log, onClose }) {
    const client = new KafkaClient(kafkaConfig(settings, 'create-topics'), log)
    onClose('kafka', () => client.close())
    const specs = topicSpecs({
      partitions: settings.TRADES_PARTITIONS,
      replicationFactor: settings.REPLICATION_FACTOR,
      prefix: settings.TOPIC_PREFIX,
    })
    try {
      const created = await tryFor(
        settings.WAIT_FOR_SERVER_S,
        async () => {
          await client.connect()
          return new KafkaAdmin(client).createTopics(specs)
        },
        { log, mayPass: (error) => error instanceof KafkaError && error.kind === 'retriable' },
      )
      const existing = specs.map(({ name }) => name).filter((name) => !created.includes(name))
      log.info({ created, existing }, 'topics are there')
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      throw new StartError(`cannot create topics on ${settings.KAFKA_BROKERS.join(',')}: ${error.message}`, {
        cause: error,
      })
    }
  },
})
