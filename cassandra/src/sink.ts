import { setTimeout as sleep } from 'node:timers/promises'
import { policies, type Client } from 'cassandra-driver'
import type { Registry } from 'prom-client'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import type { KafkaConfig, KafkaLog } from '@candlewick/streams/kafka/config'
import { KafkaError } from '@candlewick/streams/kafka/errors'
import { GroupConsumer } from '@candlewick/streams/kafka/group-consumer'
import type { FetchedChunk } from '@candlewick/streams/kafka/records/decode'
import { prepareCodecs } from '@candlewick/schemas/codecs'
import { topicNames } from '@candlewick/schemas/topics'
import { unlessAborted } from './abort.js'
import { connectWhenUp, createClient } from './client.js'
import type { CassandraConfig } from './settings.js'
import { cassandraWrites } from './sink/cassandra-writes.js'
import { DeadLetters } from './sink/dead-letters.js'
import { SinkMetrics } from './sink/metrics.js'
import { planChunk, type SinkTopic, type Write } from './sink/plan.js'
import { Writer, type WriterState } from './sink/writer.js'
import type { SinkHealth } from './sink-health.js'

/** Plain data, so that it can be handed to a worker thread. Never log it: it holds passwords. */
export interface SinkConfig {
  kafka: KafkaConfig
  cassandra: CassandraConfig
  /** The consumer group; its committed offsets are how far the tables are complete. */
  groupId: string
  topicPrefix: string
}

export interface SinkOptions {
  log: KafkaLog
  registry: Registry
  onHealth?(health: SinkHealth): void
  /** Stands in for Cassandra's client in tests of what happens when writes fail. */
  send?(write: Write): Promise<unknown>
}

/** Requests under way at a time: enough to keep a small cluster busy, few enough not to bury one that struggles. */
const MAX_IN_FLIGHT = 48
/** Partitions of the topics worked on at a time; each holds one chunk (up to 1 MB) and its rows (about 20 MB). */
const MAX_CONCURRENT_PARTITIONS = 4
/** Cassandra itself gives a write up after 2 s by default and says so; longer means that it hangs. */
const WRITE_TIMEOUT_MS = 4_000
const CLOSE_GRACE_MS = 3_000

/**
 * Carries the topics trades, averages and bars into their tables: a plain consumer group of committed records.
 * A chunk's offsets are committed only after all of its rows are durable, so a crash repeats rows (the same rows: their
 * keys and write times come from the records) and never leaves one out. While Cassandra is slow or away nothing more is
 * read; that costs lag and no memory.
 */
export class CassandraSink {
  private readonly closing = new AbortController()
  private readonly kafka: KafkaClient
  private readonly consumer: GroupConsumer
  private readonly deadLetters: DeadLetters
  private readonly writer: Writer
  private readonly metrics: SinkMetrics
  private readonly topics: ReadonlyMap<string, SinkTopic>
  private cassandra: Promise<Client> | undefined
  private running: Promise<void> | undefined
  private closed: Promise<void> | undefined
  private currentHealth: SinkHealth = { kind: 'starting' }

  constructor(
    private readonly config: SinkConfig,
    private readonly options: SinkOptions,
  ) {
    const { log, registry } = options
    const names = topicNames(config.topicPrefix)
    this.topics = new Map([
      [names.trades, 'trades'],
      [names.averages, 'averages'],
      [names.bars, 'bars'],
    ])
    this.kafka = new KafkaClient(config.kafka, log)
    this.deadLetters = new DeadLetters(this.kafka, names.deadLetters, log)
    this.metrics = new SinkMetrics(registry, () => this.lagByTopic())
    this.writer = new Writer({
      send: options.send ?? cassandraWrites(() => this.cassandraClient(), config.cassandra.keyspace),
      maxInFlight: MAX_IN_FLIGHT,
      metrics: this.metrics,
      onState: (state) => {
        this.onWriterState(state)
      },
    })
    this.consumer = new GroupConsumer(this.kafka, {
      groupId: config.groupId,
      topics: [...this.topics.keys()],
      startAt: 'earliest',
      isolation: 'read_committed',
      maxConcurrentPartitions: MAX_CONCURRENT_PARTITIONS,
      handle: (chunk, signal) => this.handle(chunk, signal),
      log: log,
    })
  }

  get health(): SinkHealth {
    return this.currentHealth
  }

  /** Runs until it is closed. @throws what no waiting mends: topics that do not exist, being refused by Kafka */
  run(): Promise<void> {
    this.running ??= this.runOnce()
    return this.running
  }

  close(): Promise<void> {
    this.closed ??= this.closeOnce()
    return this.closed
  }

  private async runOnce(): Promise<void> {
    await prepareCodecs()
    // Not awaited: the group is joined meanwhile, so that the lag can be seen; chunks wait for the connection.
    this.cassandraClient().catch(() => undefined)
    await this.connectToKafka()
    await this.consumer.run()
  }

  private async connectToKafka(): Promise<void> {
    const signal = this.closing.signal
    for (let pauseMs = 250, told = false; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 5_000), told = true) {
      try {
        await this.kafka.connect()
        return
      } catch (error) {
        if (signal.aborted || !(error instanceof KafkaError) || error.kind !== 'retriable') throw error
        if (!told) this.options.log.warn({ reason: error.message }, 'Kafka cannot be reached: waiting for it')
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  private async closeOnce(): Promise<void> {
    // What is being written may finish, unless Cassandra does not take it: what is not done is repeated at the next start.
    const graceMs = this.currentHealth.kind === 'writing' ? CLOSE_GRACE_MS : 0
    const abort = () => {
      this.closing.abort(new Error('the sink is closing'))
    }
    const timer = setTimeout(abort, graceMs)
    await this.consumer.close()
    clearTimeout(timer)
    abort()
    await this.deadLetters.close()
    await this.kafka.close()
    const client = await this.cassandra?.catch(() => undefined)
    await client?.shutdown()
    this.setHealth({ kind: 'closed' })
  }

  private cassandraClient(): Promise<Client> {
    this.cassandra ??= this.connectToCassandra()
    return this.cassandra
  }

  private async connectToCassandra(): Promise<Client> {
    this.metrics.pausedFrom(performance.now())
    const client = await connectWhenUp(
      () =>
        createClient(this.config.cassandra, {
          socketOptions: { readTimeout: WRITE_TIMEOUT_MS },
          // The writer repeats and counts; the driver's own silent repeats would double its work.
          policies: { retry: new policies.retry.FallthroughRetryPolicy() },
        }),
      { log: this.options.log, signal: this.closing.signal },
    )
    this.metrics.resumed()
    this.setHealth(this.writer.state)
    return client
  }

  private async handle(chunk: FetchedChunk, signal: AbortSignal): Promise<void> {
    if (chunk.records === null || chunk.records.length === 0) return
    const topic = this.topics.get(chunk.topic)
    if (topic === undefined) throw new Error(`not a topic of the sink: ${chunk.topic}`)
    const plan = planChunk(chunk, topic)
    const either = AbortSignal.any([signal, this.closing.signal])
    const rejected = [...plan.rejected, ...(await this.writer.writeAll(plan.writes, either))]
    if (rejected.length > 0) {
      await unlessAborted(this.deadLetters.put(chunk.topic, chunk.partition, rejected), either)
      this.metrics.deadLettered(topic, rejected.length)
    }
  }

  private onWriterState(state: WriterState): void {
    const { log } = this.options
    if (state.kind === 'waiting') {
      this.metrics.pausedFrom(state.sinceMs)
      log.warn({ reason: state.reason }, 'Cassandra takes no writes: the sink waits, nothing is lost')
    } else {
      this.metrics.resumed()
      log.info({}, 'Cassandra takes writes again')
    }
    this.setHealth(state)
  }

  private setHealth(health: SinkHealth): void {
    this.currentHealth = health
    this.options.onHealth?.(health)
  }

  private lagByTopic(): Map<string, number> {
    const lags = new Map<string, number>()
    for (const [topic, name] of this.topics) {
      const prefix = `${topic}-`
      for (const [partition, lag] of this.consumer.lag()) {
        if (partition.startsWith(prefix)) lags.set(name, (lags.get(name) ?? 0) + lag)
      }
    }
    return lags
  }
}
