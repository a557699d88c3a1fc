import { HistoryReader } from '@candlewick/cassandra/reader'
import { cassandraConfig } from '@candlewick/cassandra/settings'
import { QUERY_STORES } from '@candlewick/schemas/queries'
import { topicNames } from '@candlewick/schemas/topics'
import { createRegistry, listen } from '@candlewick/service/http'
import { kafkaConfig } from '@candlewick/service/kafka-settings'
import { runProcess } from '@candlewick/service/process'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { QueryClient } from '@candlewick/streams/queries/query-client'
import { buildApp } from './app.js'
import { systemClock } from './dependencies.js'
import { ProcessorTasks } from './live/processor-tasks.js'
import { createMetrics } from './metrics.js'
import { appOptions, API_SETTINGS } from './settings.js'
import { Feed } from './ws/feed.js'
import { LatestMarket } from './ws/latest-market.js'
import { keepSeeding } from './ws/seed.js'

runProcess({
  name: 'query-api',
  summary: 'REST, WebSocket and the live page.',
  settings: API_SETTINGS,
  checks: [(settings) => kafkaConfig(settings, 'query-api'), cassandraConfig],
  async run({ settings, log, onClose, fail }) {
    const topics = topicNames(settings.TOPIC_PREFIX)
    const metrics = createMetrics(createRegistry())
    const market = new LatestMarket({ maxSymbols: settings.WS_MAX_TRACKED_SYMBOLS })

    // Neither Kafka nor Cassandra has to be there: the API says what it cannot do until they are.
    const history = new HistoryReader(cassandraConfig(settings), { log })
    onClose('history', () => history.close())
    void history.connect()

    const client = new KafkaClient(kafkaConfig(settings, 'query-api'), log)
    onClose('kafka', () => client.close())
    const live = QueryClient.of(client, {
      applicationId: settings.APPLICATION_ID,
      queries: QUERY_STORES,
      token: settings.INTERNAL_TOKEN,
      log,
    })
    onClose('queries', () => live.close())
    const feed = new Feed(client, { topics, market, metrics, log })
    onClose('feed', () => feed.close())

    let isFound = false
    const app = await buildApp(
      {
        live,
        history,
        tasks: new ProcessorTasks(live, { token: settings.INTERNAL_TOKEN }),
        market,
        clock: systemClock,
        metrics,
        log,
        ready: () => {
          if (!feed.isFollowing) return 'Kafka has not been reached yet'
          // Once is enough: while all are away there is still the history to answer from.
          isFound ||= live.routing().members.length > 0
          return isFound ? undefined : 'no processor has been found yet'
        },
      },
      appOptions(settings),
    )
    onClose('http', () => app.close())
    await listen(app, { host: settings.HOST, port: settings.API_PORT, setting: 'API_PORT' })

    const seeding = new AbortController()
    onClose('seeding', () => seeding.abort())
    // The feed first: what happens while the snapshots are gathered is in the topics it follows.
    feed
      .start()
      .then(() => live.start())
      .then(() => keepSeeding(live, market, { signal: seeding.signal, log }))
      .catch(fail)
  },
})
