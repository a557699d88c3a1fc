import { KafkaStreams } from '@candlewick/streams'
import type { KafkaConfig, KafkaLog } from '@candlewick/streams/kafka/config'
import { startQueryServer } from '@candlewick/streams/queries/start-query-server'
import { card } from './queries.js'
import { topicNames } from './topics.js'
import { fraudTopology } from './topology.js'

export interface AppOptions {
  kafka: KafkaConfig
  /** One per process. */
  stateDir: string
  /** Where queries are answered. */
  port: number
  topicPrefix?: string
  log: KafkaLog
}

/** One process of the application. Start as many as you like, each with a state directory and a port of its own. */
export async function startApp({ kafka, stateDir, port, topicPrefix = '', log }: AppOptions) {
  const streams = new KafkaStreams(fraudTopology({ topics: topicNames(topicPrefix) }), {
    applicationId: `${topicPrefix}card-fraud`,
    kafka,
    stateDir,
    // Where the other processes, and whoever asks, find this one.
    endpoint: `http://127.0.0.1:${port}`,
    log,
  })
  const queries = await startQueryServer(streams, { port, queries: { card } })
  await streams.start()
  return {
    streams,
    url: queries.url,
    async close(): Promise<void> {
      await streams.close()
      await queries.close()
    },
  }
}
