import { tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames } from '@candlewick/schemas/topics'
import { addMonitoring, createHttpServer, createRegistry, listen } from '@candlewick/service/http'
import { kafkaConfig } from '@candlewick/service/kafka-settings'
import type { Logger } from '@candlewick/service/logger'
import { StartError, type ProcessContext } from '@candlewick/service/process'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { FinnhubSource, KeyRefusedError } from './finnhub/source.js'
import { GapLog } from './gaps.js'
import { connectToKafka } from './kafka.js'
import { ProducerMetrics } from './metrics.js'
import { Pipeline } from './pipeline.js'
import { lastReceivedAtMs } from './previous-run.js'
import { RecordingError } from './recording/reader.js'
import { RecordingSource } from './recording/source.js'
import { bufferBounds, chooseFeed, type FeedChoice, type PRODUCER_SETTINGS } from './settings.js'
import type { TradeSource } from './trade-source.js'

/**
 * Starts the producer: its HTTP port, then Kafka (waited for if it is away), then the feed.
 * @param limits how long closing waits for Kafka to take what is held
 * @returns the URL of its HTTP port, as soon as that listens
 * @throws StartError for settings that cannot work and a port that is taken
 */
export async function startProducer(
  host: ProcessContext<typeof PRODUCER_SETTINGS>,
  limits: { flushTimeoutMs: number } = { flushTimeoutMs: 10_000 },
): Promise<string> {
  const { settings, log, onClose, fail } = host
  const choice = chooseFeed(settings)
  const { sinkBytes, reserveBytes, maxFrameBytes } = bufferBounds(settings.PRODUCER_BUFFER_MB)
  const topics = topicNames(settings.TOPIC_PREFIX)
  const registry = createRegistry()
  const metrics: ProducerMetrics = new ProducerMetrics(registry, () => pipeline.heldBytes)
  const gaps = createGapLog(metrics, log)

  let isKafkaReachable = false
  let settled = 0
  const client = new KafkaClient(kafkaConfig(settings, 'candlewick-producer'), log)
  const producer = new IdempotentProducer(client, {
    maxBufferedBytes: sinkBytes,
    compression: settings.PRODUCER_COMPRESSION,
    onDelivered: (count, latencyMs) => {
      settled += count
      metrics.delivered.inc(count)
      metrics.deliverySeconds.observe(latencyMs / 1000)
    },
    onRejected: (records, error) => {
      settled += records.length
      metrics.undelivered.inc({ reason: error.name }, records.length)
      log.error({ err: error, records: records.length }, 'Kafka refused records: they are lost')
    },
    onState: (state) => (isKafkaReachable = state === 'ok'),
  })
  const source = createSource(choice, maxFrameBytes, metrics, log)
  const pipeline: Pipeline = new Pipeline({
    source,
    sink: producer,
    encode: (trade) => tradeCodec.encode(trade),
    topics: { trades: topics.trades, deadLetters: topics.deadLetters },
    sinkBytes,
    reserveBytes,
    gaps,
    metrics,
    log,
    onEnd: () => log.info({ records: settled }, 'all of the recording is on Kafka'),
    onFatal: (error) => fail(toStartError(error)),
  })

  const app = createHttpServer(log)
  addMonitoring(app, {
    registry,
    ready: () => {
      if (!isKafkaReachable) return 'Kafka is not reachable'
      return pipeline.isConnected ? undefined : 'the feed is not connected'
    },
  })
  app.get('/gaps', () => ({ gaps: gaps.list() }))
  onClose('http', () => app.close())
  const url = await listen(app, { host: settings.HOST, port: settings.PRODUCER_PORT, setting: 'PRODUCER_PORT' })

  const closing = new AbortController()
  let isStarted = false
  const running = run()
  onClose('kafka', () => client.close())
  onClose('pipeline', async () => {
    closing.abort()
    // Whatever still waits for Kafka is to stop waiting.
    if (!isStarted) await Promise.all([producer.close({ timeoutMs: 0 }), client.close(), running])
    else await finish()
  })
  return url

  async function run(): Promise<void> {
    try {
      await connectToKafka(client, producer, [topics.trades, topics.deadLetters], log, closing.signal)
      isKafkaReachable = true
      if (source.live) await noteRestart()
      if (closing.signal.aborted) return
      if (choice.kind === 'finnhub') for (const warning of choice.warnings) log.warn({}, warning)
      isStarted = true
      pipeline.start()
    } catch (error) {
      if (!closing.signal.aborted) fail(error)
    }
  }

  async function finish(): Promise<void> {
    const leftBytes = await pipeline.close(limits.flushTimeoutMs)
    const leftRecords = pipeline.acceptedRecords - settled
    if (leftBytes > 0) log.error({ leftBytes, leftRecords }, 'Kafka did not take everything in time: this is lost')
    else log.info({ records: settled }, 'everything read is on Kafka')
    await producer.close({ timeoutMs: 0 })
  }

  /** From the last trade of an earlier run until the feed is connected trades are missing. */
  async function noteRestart(): Promise<void> {
    try {
      const lastMs = await lastReceivedAtMs(client, topics.trades, source.name, log)
      if (lastMs !== undefined) gaps.begin('restart', 'restart', 'no producer was running', lastMs)
    } catch (error) {
      // Trades to come matter more than knowing since when they are missing.
      if (!closing.signal.aborted) log.warn({ err: error }, 'cannot tell when the last run ended')
    }
  }
}

function createGapLog(metrics: ProducerMetrics, log: Logger): GapLog {
  return new GapLog({
    onBegin: ({ cause }) => metrics.gaps.inc({ cause }),
    onEnd: (gap) => {
      const seconds = ((gap.to ?? gap.from) - gap.from) / 1000
      metrics.gapSeconds.inc({ cause: gap.cause }, seconds)
      log.warn({ ...gap, seconds }, 'a gap: trades may be missing')
    },
  })
}

function createSource(choice: FeedChoice, maxFrameBytes: number, metrics: ProducerMetrics, log: Logger): TradeSource {
  if (choice.kind === 'recording') return new RecordingSource({ ...choice, log, metrics })
  return new FinnhubSource({ ...choice, log, metrics, limits: { maxFrameBytes } })
}

/** A wrong key and an unreadable file are for the one who starts the process to mend. */
function toStartError(error: Error): Error {
  const isTheirs = error instanceof KeyRefusedError || error instanceof RecordingError
  return isTheirs ? new StartError(error.message, { cause: error }) : error
}
