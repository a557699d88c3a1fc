#!/usr/bin/env node
import { keepSinkRunning } from './sink-keeper.js'
import { sinkConfig, SINK_SETTINGS, startSinkWorker } from '@candlewick/cassandra/sink-thread'
import { prepareCodecs } from '@candlewick/schemas/codecs'
import { topicNames } from '@candlewick/schemas/topics'
import { createRegistry, listen } from '@candlewick/service/http'
import { kafkaConfig } from '@candlewick/service/kafka-settings'
import { runProcess, StartError } from '@candlewick/service/process'
import { KafkaStreams, StreamsError } from '@candlewick/streams'
import { buildApp } from './app.js'
import { advertisedUrl, PROCESSOR_SETTINGS, readBarWindows, stateEngine } from './settings.js'
import { marketTopology } from './topology.js'
import { waitForTopics } from './wait-for-topics.js'

runProcess({
  name: 'processor',
  summary: 'keeps running averages and bars of the trades, exactly once, and answers queries about them.',
  settings: { ...SINK_SETTINGS, ...PROCESSOR_SETTINGS },
  checks: [readBarWindows, advertisedUrl, stateEngine, sinkConfig],
  async run({ settings, log, onClose, fail }) {
    const topics = topicNames(settings.TOPIC_PREFIX)
    const windows = readBarWindows(settings)
    const registry = createRegistry()
    await prepareCodecs()

    const streams = new KafkaStreams(marketTopology(topics, windows), {
      applicationId: settings.APPLICATION_ID,
      kafka: kafkaConfig(settings, 'processor'),
      stateDir: settings.STATE_DIR,
      makeEngine: stateEngine(settings),
      ...(settings.INSTANCE_ID !== '' && { instanceId: settings.INSTANCE_ID }),
      endpoint: advertisedUrl(settings),
      guarantee: settings.GUARANTEE,
      commitIntervalMs: settings.COMMIT_INTERVAL_MS,
      maxIntervalRecords: settings.COMMIT_RECORDS,
      standbyReplicas: settings.STANDBY_REPLICAS,
      cacheBytes: settings.CACHE_MB * 2 ** 20,
      sessionTimeoutMs: settings.SESSION_TIMEOUT_MS,
      ...(settings.REPLICATION_FACTOR > 0 && { replicationFactor: settings.REPLICATION_FACTOR }),
      log,
      metrics: registry,
    })
    streams.onFatal((error) => fail(asStartError(error)))

    const app = await buildApp({
      streams,
      windows,
      registry,
      token: settings.INTERNAL_TOKEN,
      log,
    })
    onClose('http', () => app.close())
    await listen(app, { host: settings.HOST, port: settings.PROCESSOR_PORT, setting: 'PROCESSOR_PORT' })
    log.info({ endpoint: advertisedUrl(settings) }, 'the API asks here')

    if (settings.SINK === 'inside') {
      const config = sinkConfig(settings)
      const sink = keepSinkRunning({ start: () => startSinkWorker(config, log, registry), log })
      onClose('sink', () => sink.close())
    }

    // Last opened, first closed: what was processed is committed and the group left while the queries still answer.
    onClose('streams', () => streams.close())
    await waitForTopics(kafkaConfig(settings, 'processor'), Object.values(topics), log)
    await streams.start().catch((error: unknown) => {
      throw asStartError(error)
    })
  },
})

/** What a user can mend is told in one line, without a stack. */
function asStartError(error: unknown): unknown {
  if (error instanceof StreamsError && ['LOCKED', 'DUPLICATE_INSTANCE', 'STATE'].includes(error.code)) {
    return new StartError(error.message, { cause: error })
  }
  return error
}
