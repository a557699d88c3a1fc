import { kafkaConfig, KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { str, type Settings } from '@candlewick/service/settings'
import { cassandraConfig, CASSANDRA_SETTINGS } from './settings.js'
import type { SinkConfig } from './sink.js'

/** What the sink needs, alone or inside a processor. */
export const SINK_SETTINGS = {
  ...KAFKA_SETTINGS,
  ...CASSANDRA_SETTINGS,
  APPLICATION_ID: str({
    default: 'candlewick',
    desc: 'name of the application; the sink’s group is APPLICATION_ID-sink',
  }),
  TOPIC_PREFIX: str({ default: '', desc: 'what all topic names begin with' }),
}

/** @throws SettingsError for settings that only make sense together, and for files that cannot be used */
export function sinkConfig(settings: Settings<typeof SINK_SETTINGS>): SinkConfig {
  return {
    kafka: kafkaConfig(settings, `${settings.APPLICATION_ID}-sink`),
    cassandra: cassandraConfig(settings),
    groupId: `${settings.APPLICATION_ID}-sink`,
    topicPrefix: settings.TOPIC_PREFIX,
  }
}
