import { Kafka, logLevel } from 'kafkajs'
import type { KafkaConfig, KafkaLog } from './config.js'
import { KafkaError, isKafkaError, toKafkaError, type Concerns } from './errors.js'
import { createCluster, type Broker, type BrokerMetadata, type Cluster } from './kafkajs-private.js'
import { logTo, mendBrokerConnect, mendKafkaJs, mendMetadata, socketFactory, tlsOptions } from './kafkajs-mends.js'
import type { ApiRequest } from './protocol/api-request.js'
import { findCoordinator } from './protocol/find-coordinator.js'
import { metadata, type TopicMetadata } from './protocol/metadata.js'
import { retrying } from './retry.js'
import { WireReader } from './wire/reader.js'
import { WireWriter } from './wire/writer.js'

export type { ApiRequest, Broker }

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000
const DEFAULT_CONNECTION_TIMEOUT_MS = 5_000
/** Metadata older than this is refreshed in the background when a leader is asked for (partitions may have been added). */
const METADATA_MAX_AGE_MS = 300_000
const READ_COMMITTED = 1

/**
 * Connections, authentication, metadata and coordinators of one Kafka cluster, behind typed requests.
 *
 * A broker answers the requests of one connection strictly one after the other, and a client has two connections per broker:
 * one for fetches, one for everything else. So one client may serve several users, but each user that makes a broker wait (a
 * fetcher's long polls, a group member's JoinGroup) has its own: `separate()`.
 *
 * Failures are KafkaErrors. A request is sent once; whoever asks decides about another try. What a failure says about the
 * cluster is remembered: the connection of a timed-out request is dropped, metadata is refreshed when a broker cannot be
 * reached, and the log gets one line when a broker is lost and one when it is back.
 */
export class KafkaClient {
  readonly cluster: Cluster
  readonly config: KafkaConfig
  readonly log: KafkaLog
  readonly #requestTimeoutMs: number
  readonly #topics = new Map<string, TopicMetadata>()
  /** What the last answer said instead. What was known before stays: a broker that is starting knows no topic yet. */
  readonly #topicErrors = new Map<string, number>()
  readonly #coordinators = new Map<string, number>()
  readonly #lostBrokers = new Map<string, number>()
  #refresh: Promise<void> | undefined
  #refreshedAtMs = -Infinity
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(config: KafkaConfig, log: KafkaLog) {
    mendKafkaJs()
    this.config = config
    this.log = log
    this.#requestTimeoutMs = config.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
    const ssl = tlsOptions(config.ssl)
    const kafka = new Kafka({
      brokers: [...config.brokers],
      clientId: config.clientId,
      ...(ssl !== undefined && { ssl }),
      ...(config.sasl !== undefined && { sasl: saslOptions(config.sasl) }),
      connectionTimeout: config.connectionTimeoutMs ?? DEFAULT_CONNECTION_TIMEOUT_MS,
      requestTimeout: this.#requestTimeoutMs,
      enforceRequestTimeout: true,
      // Enough to try every seed broker once; further tries are ours, with metadata refreshed in between.
      retry: { retries: config.brokers.length, initialRetryTime: 50, maxRetryTime: 200, multiplier: 1.5, factor: 0.2 },
      socketFactory: socketFactory(),
      logLevel: logLevel.INFO,
      logCreator: () => logTo(log),
    })
    this.cluster = createCluster(kafka, {
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
      isolationLevel: READ_COMMITTED,
      maxInFlightRequests: null,
    })
    mendBrokerConnect(this.cluster)
    mendMetadata(this.cluster, (broker, topics) => this.#fetchMetadata(broker, topics))
    this.cluster.findGroupCoordinator = ({ groupId, coordinatorType = 0 }) =>
      this.coordinatorOf(coordinatorType === 0 ? 'group' : 'transaction', groupId)
  }

  /**
   * Connects to one of the configured brokers and learns the others.
   * Throws CONNECTION when none answers, SASL_AUTHENTICATION_FAILED when the login is refused.
   */
  async connect(): Promise<void> {
    this.#failIfClosed()
    const concerns = { broker: this.config.brokers.join(',') }
    try {
      await this.cluster.connect()
    } catch (error) {
      throw toKafkaError(error, false, concerns)
    }
    await this.refreshMetadata()
  }

  /** A client for the same cluster with connections of its own; whoever asks for it connects and closes it. */
  separate(): KafkaClient {
    return new KafkaClient(this.config, this.log)
  }

  /** Rejects what is under way with CLOSED and closes every connection. Memoised. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    const { brokers, seedBroker } = this.cluster.brokerPool
    const known = new Set([...Object.values(brokers), ...(seedBroker === undefined ? [] : [seedBroker])])
    for (const broker of known) {
      for (const connection of broker.connectionPool.pool) connection.rejectRequests(KafkaError.closed(true))
    }
    await this.cluster.disconnect()
  }

  /** Aborted by close(): for loops that wait between tries. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Loads the metadata of topics and keeps it fresh from then on. Throws UNKNOWN_TOPIC_OR_PARTITION naming the missing ones. */
  async watchTopics(topics: readonly string[]): Promise<void> {
    const fresh = topics.filter((topic) => !this.#topics.has(topic))
    if (fresh.length === 0) return
    for (const topic of fresh) this.cluster.targetTopics.add(topic)
    // One that is under way may have been asked without these topics.
    await this.#refresh?.catch(() => undefined)
    await this.refreshMetadata()
    const missing = fresh.filter((topic) => !this.#topics.has(topic))
    if (missing.length === 0) return
    const errorCode = this.#topicErrors.get(missing[0]!) ?? UNKNOWN_TOPIC
    for (const topic of missing) {
      this.cluster.targetTopics.delete(topic)
      this.#topicErrors.delete(topic)
    }
    throw KafkaError.fromCode(errorCode, { topic: missing.join(', ') })
  }

  /** Partitions of a watched topic. Throws UNKNOWN_TOPIC_OR_PARTITION for any other. */
  partitionCount(topic: string): number {
    return this.#watched(topic).partitions.length
  }

  /** A watched topic's id (UUID): a topic deleted and made again under its name has another one. */
  topicId(topic: string): string {
    return this.#watched(topic).topicId
  }

  /** The node id of a watched partition's leader as last heard, or undefined while there is none. Never waits. */
  leaderIdOf(topic: string, partition: number): number | undefined {
    if (this.#topicErrors.get(topic) === UNKNOWN_TOPIC) return undefined
    const leader = this.#topics.get(topic)?.partitions.find((p) => p.partition === partition)?.leader ?? -1
    return leader < 0 ? undefined : leader
  }

  /**
   * The connected leader of a partition. Throws LEADER_NOT_AVAILABLE (retriable) while there is none, CONNECTION when it
   * cannot be reached; in both cases the metadata was refreshed, so the next call may give another broker.
   */
  async leaderOf(topic: string, partition: number): Promise<Broker> {
    this.#failIfClosed()
    if (!this.#topics.has(topic)) await this.watchTopics([topic])
    if (this.leaderIdOf(topic, partition) === undefined) await this.refreshMetadata()
    else if (performance.now() - this.#refreshedAtMs > METADATA_MAX_AGE_MS) void this.#refreshQuietly()
    const leader = this.leaderIdOf(topic, partition)
    if (leader !== undefined) return this.brokerWithId(leader)
    const exists = this.#watched(topic).partitions.some((p) => p.partition === partition)
    throw KafkaError.named(
      exists && !this.#topicErrors.has(topic) ? 'LEADER_NOT_AVAILABLE' : 'UNKNOWN_TOPIC_OR_PARTITION',
      { topic, partition },
    )
  }

  /**
   * The connected coordinator of a group or transactional id, remembered until `forgetCoordinator`. Waits while Kafka loads or
   * creates the topic behind it, up to the request timeout.
   */
  async coordinatorOf(kind: 'group' | 'transaction', key: string): Promise<Broker> {
    const known = this.#coordinators.get(`${kind} ${key}`)
    if (known !== undefined) {
      try {
        return await this.brokerWithId(known)
      } catch (error) {
        this.forgetCoordinator(kind, key)
        if (!(error instanceof KafkaError) || error.kind !== 'retriable') throw error
      }
    }
    return retrying(() => this.#findCoordinator(kind, key), {
      retriable: (error) => error instanceof KafkaError && error.kind === 'retriable',
      forMs: this.#requestTimeoutMs,
      signal: this.closing,
    })
  }

  async #findCoordinator(kind: 'group' | 'transaction', key: string): Promise<Broker> {
    const concerns = kind === 'group' ? { groupId: key } : { transactionalId: key }
    const found = await this.send(await this.anyBroker(), findCoordinator(kind, key), concerns)
    if (found.errorCode !== 0) throw KafkaError.fromCode(found.errorCode, concerns, found.errorMessage)
    if (this.cluster.brokerPool.brokers[found.nodeId] === undefined) await this.refreshMetadata()
    const broker = await this.brokerWithId(found.nodeId)
    this.#coordinators.set(`${kind} ${key}`, found.nodeId)
    return broker
  }

  /** Makes the next coordinatorOf ask the cluster: after NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE or a lost connection. */
  forgetCoordinator(kind: 'group' | 'transaction', key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  /** The connected controller (KRaft: any broker, which forwards to it). */
  controller(): Promise<Broker> {
    const id = this.cluster.brokerPool.metadata?.controllerId ?? -1
    return id < 0 ? this.anyBroker() : this.brokerWithId(id)
  }

  /** Any connected broker. */
  async anyBroker(): Promise<Broker> {
    this.#failIfClosed()
    try {
      return await this.cluster.brokerPool.findConnectedBroker()
    } catch (error) {
      throw this.#failed(error, false, {})
    }
  }

  /** The connected broker with a node id. Throws CONNECTION (the metadata was refreshed then) or BROKER_NOT_AVAILABLE. */
  async brokerWithId(nodeId: number): Promise<Broker> {
    this.#failIfClosed()
    const pool = this.cluster.brokerPool
    if (pool.brokers[nodeId] === undefined) await this.refreshMetadata()
    const broker = pool.brokers[nodeId]
    if (broker === undefined) {
      throw KafkaError.connection(`broker ${nodeId} is not in the cluster’s metadata`, false)
    }
    try {
      await pool.findBroker({ nodeId })
      return broker
    } catch (error) {
      const failure = this.#failed(error, false, { broker: addressOf(broker) })
      await this.#refreshQuietly()
      throw failure
    }
  }

  /** Asks for the watched topics' metadata; one request at a time, callers share it. */
  refreshMetadata(): Promise<void> {
    this.#refresh ??= this.#refreshNow().finally(() => (this.#refresh = undefined))
    return this.#refresh
  }

  async #refreshNow(): Promise<void> {
    this.#failIfClosed()
    try {
      await this.cluster.refreshMetadata()
    } catch (error) {
      throw this.#failed(error, false, {})
    }
  }

  /** Where the refresh is a courtesy to the next try: its own failure says nothing new. */
  #refreshQuietly(): Promise<void> {
    return this.refreshMetadata().catch(() => undefined)
  }

  /**
   * Sends one request and returns its decoded answer; error codes inside the answer are the caller's business.
   * Throws CONNECTION, REQUEST_TIMED_OUT, CLOSED, UNSUPPORTED_VERSION (says what is needed) or INVALID_ANSWER.
   */
  async send<T>(broker: Broker, request: ApiRequest<T>, concerns: Concerns = {}): Promise<T> {
    this.#failIfClosed()
    assertVersion(broker, request)
    let sent = false
    const encode = () => {
      sent = true
      const writer = new WireWriter()
      if (request.flexible) writer.tags()
      request.encode(writer)
      return Promise.resolve({ buf: writer.target, buffer: writer.bytes })
    }
    const decode = (bytes: Buffer) => {
      const reader = new WireReader(bytes)
      if (request.flexible) reader.tags()
      const answer = request.decode(reader)
      return Promise.resolve({ clientSideThrottleTime: throttleTimeMsOf(answer), answer })
    }
    const { timeoutMs, apiKey, version, name } = request
    try {
      const connection = await broker.connectionPool.getConnectionByRequest({ request: { apiKey } })
      const answer = await connection.send({
        request: { apiKey, apiVersion: version, apiName: name, encode },
        response: { decode, parse: ({ answer }) => Promise.resolve(answer) },
        requestTimeout: timeoutMs === undefined ? null : this.#requestTimeoutMs + timeoutMs,
        logResponseError: false,
      })
      this.#reached(broker)
      return answer
    } catch (error) {
      const failure = this.#failed(error, sent, { ...concerns, broker: addressOf(broker) })
      if (failure.name === 'REQUEST_TIMED_OUT') this.#dropConnection(broker, apiKey, failure)
      throw failure
    }
  }

  /**
   * A broker that does not answer in time may never do so on this connection (a dead peer sends nothing at all): the Java
   * client closes it too. What else waits on it fails now, with the outcome unknown.
   */
  #dropConnection(broker: Broker, apiKey: number, why: KafkaError): void {
    const connection = broker.connectionPool.pool[apiKey === FETCH ? 1 : 0]
    if (connection === undefined || !connection.isConnected()) return
    connection.rejectRequests(
      KafkaError.connection(`dropped after ${why.message}`, true, { broker: addressOf(broker) }),
    )
    void connection.disconnect()
  }

  async #fetchMetadata(broker: Broker, topics: readonly string[]): Promise<BrokerMetadata> {
    const answer = await this.send(broker, metadata(topics))
    this.#refreshedAtMs = performance.now()
    for (const topic of answer.topics) {
      if (topic.errorCode === 0) this.#topics.set(topic.name, topic)
      if (topic.errorCode === 0) this.#topicErrors.delete(topic.name)
      else this.#topicErrors.set(topic.name, topic.errorCode)
    }
    return {
      brokers: answer.brokers,
      clusterId: answer.clusterId,
      controllerId: answer.controllerId,
      topicMetadata: answer.topics.filter((topic) => topic.errorCode === 0).map(asKafkaJs),
    }
  }

  #watched(topic: string): TopicMetadata {
    const known = this.#topics.get(topic)
    if (known === undefined) throw KafkaError.named('UNKNOWN_TOPIC_OR_PARTITION', { topic }, 'not watched')
    return known
  }

  #failIfClosed(): void {
    if (this.#closed !== undefined) throw KafkaError.closed()
  }

  #failed(error: unknown, sent: boolean, concerns: Concerns): KafkaError {
    if (this.#closed !== undefined) return KafkaError.closed(sent)
    const failure = toKafkaError(error, sent, concerns)
    if (isKafkaError(failure, 'CONNECTION', 'REQUEST_TIMED_OUT')) this.#lost(failure)
    return failure
  }

  #lost(failure: KafkaError): void {
    // A failure that names no broker means that none answers: news only if none was reported yet.
    const broker = failure.concerns.broker ?? 'all'
    if (this.#lostBrokers.has(broker) || (broker === 'all' && this.#lostBrokers.size > 0)) return
    this.#lostBrokers.set(broker, performance.now())
    this.log.warn({ broker, error: failure.message }, 'Kafka broker lost')
  }

  #reached(broker: Broker): void {
    if (this.#lostBrokers.size === 0) return
    for (const address of [addressOf(broker), 'all']) {
      const lostAtMs = this.#lostBrokers.get(address)
      if (lostAtMs === undefined) continue
      this.#lostBrokers.delete(address)
      this.log.info({ broker: address, lostForMs: Math.round(performance.now() - lostAtMs) }, 'Kafka broker is back')
    }
  }
}

const FETCH = 1
const UNKNOWN_TOPIC = 3

function saslOptions({ mechanism, username, password }: NonNullable<KafkaConfig['sasl']>) {
  return { mechanism, username, password } as { mechanism: 'plain'; username: string; password: string }
}

function addressOf({ connectionPool: { host, port } }: Broker): string {
  return `${host}:${port}`
}

function throttleTimeMsOf(answer: unknown): number {
  const time = (answer as { throttleTimeMs?: unknown } | null | undefined)?.throttleTimeMs
  return typeof time === 'number' ? time : 0
}

function assertVersion(broker: Broker, { apiKey, version, name }: ApiRequest<unknown>): void {
  const range = broker.versions?.[apiKey]
  if (range !== undefined && version >= range.minVersion && version <= range.maxVersion) return
  const offered = range === undefined ? 'does not offer it' : `offers ${range.minVersion} to ${range.maxVersion}`
  throw KafkaError.named(
    'UNSUPPORTED_VERSION',
    { broker: addressOf(broker) },
    `${name} v${version} needed, broker ${offered}`,
  )
}

/** As KafkaJS's group code reads it. */
function asKafkaJs(topic: TopicMetadata): BrokerMetadata['topicMetadata'][number] {
  return {
    topic: topic.name,
    topicErrorCode: topic.errorCode,
    isInternal: topic.internal,
    partitionMetadata: topic.partitions.map(({ errorCode, partition, ...rest }) => ({
      partitionErrorCode: errorCode,
      partitionId: partition,
      ...rest,
    })),
  }
}
