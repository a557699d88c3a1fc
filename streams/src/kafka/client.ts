import type { KafkaConfig, KafkaLog } from './config.js'
import { KafkaError, isKafkaError, toKafkaError, type Concerns } from './errors.js'
import { clusterOf, METADATA_MAX_AGE_MS, requestTimeoutMsOf } from './kafkajs-cluster.js'
import { mendMetadata } from './kafkajs-mends.js'
import type { Broker, BrokerMetadata, Cluster, KafkaJsConnection } from './kafkajs-private.js'
import { LostBrokers } from './lost-brokers.js'
import type { ApiRequest } from './protocol/api-request.js'
import { findCoordinator } from './protocol/find-coordinator.js'
import { metadata, type TopicMetadata } from './protocol/metadata.js'
import { retrying } from './retry.js'
import { addressOf, assertVersion, connectionFor, sendRequest } from './send-request.js'
import { WatchedTopics } from './watched-topics.js'

export type { Broker }

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
  /** @internal */
  readonly cluster: Cluster
  readonly config: KafkaConfig
  readonly log: KafkaLog
  readonly #requestTimeoutMs: number
  readonly #topics = new WatchedTopics()
  readonly #coordinators = new Map<string, number>()
  readonly #lostBrokers: LostBrokers
  #refresh: Promise<void> | undefined
  #refreshedAtMs = -Infinity
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(config: KafkaConfig, log: KafkaLog) {
    this.config = config
    this.log = log
    this.#requestTimeoutMs = requestTimeoutMsOf(config)
    this.#lostBrokers = new LostBrokers(log)
    this.cluster = clusterOf(config, log, this.closing)
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
      throw this.#closed === undefined ? toKafkaError(error, false, concerns) : KafkaError.closed()
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
    for (const connection of this.#connections()) connection.rejectRequests(KafkaError.closed(true))
    await this.cluster.disconnect()
  }

  #connections(): KafkaJsConnection[] {
    const { brokers, seedBroker } = this.cluster.brokerPool
    const known = new Set([...Object.values(brokers), ...(seedBroker === undefined ? [] : [seedBroker])])
    return [...known].flatMap(({ connectionPool }) => connectionPool.pool)
  }

  /**
   * For the only user of this client, when it has waited too long: a peer that is gone without a word (a machine without power)
   * looks like a slow one until the request timeout. What is under way fails now, with the outcome unknown; what is asked next
   * goes over new connections, to coordinators that are looked for anew.
   * @internal
   */
  dropConnections(why: string): void {
    this.#coordinators.clear()
    for (const connection of this.#connections()) {
      connection.rejectRequests(KafkaError.connection(`dropped: ${why}`, true, { broker: connection.broker }))
      void connection.disconnect()
    }
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
    for (const topic of missing) this.cluster.targetTopics.delete(topic)
    throw this.#topics.missing(missing)
  }

  /** Partitions of a watched topic. Throws UNKNOWN_TOPIC_OR_PARTITION for any other. */
  partitionCount(topic: string): number {
    return this.#topics.get(topic).partitions.length
  }

  /** A watched topic's id (UUID): a topic deleted and made again under its name has another one. */
  topicId(topic: string): string {
    return this.#topics.get(topic).topicId
  }

  /**
   * The node id of a watched partition's leader as last heard, or undefined while there is none. Never waits.
   * @internal
   */
  leaderIdOf(topic: string, partition: number): number | undefined {
    return this.#topics.leaderIdOf(topic, partition)
  }

  /**
   * The connected leader of a partition. Throws LEADER_NOT_AVAILABLE (retriable) while there is none, CONNECTION when it
   * cannot be reached; in both cases the metadata was refreshed, so the next call may give another broker.
   * @internal
   */
  async leaderOf(topic: string, partition: number): Promise<Broker> {
    this.#failIfClosed()
    if (!this.#topics.has(topic)) await this.watchTopics([topic])
    if (this.leaderIdOf(topic, partition) === undefined) await this.refreshMetadata()
    else if (performance.now() - this.#refreshedAtMs > METADATA_MAX_AGE_MS) void this.#refreshQuietly()
    const leader = this.leaderIdOf(topic, partition)
    if (leader !== undefined) return this.brokerWithId(leader)
    throw this.#topics.leaderless(topic, partition)
  }

  /**
   * The connected coordinator of a group or transactional id, remembered until `forgetCoordinator`. Waits while Kafka loads or
   * creates the topic behind it, up to the request timeout.
   * @internal
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

  /**
   * Makes the next coordinatorOf ask the cluster: after NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE or a lost connection.
   * @internal
   */
  forgetCoordinator(kind: 'group' | 'transaction', key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  /**
   * The connected controller (KRaft: any broker, which forwards to it).
   * @internal
   */
  controller(): Promise<Broker> {
    const id = this.cluster.brokerPool.metadata?.controllerId ?? -1
    return id < 0 ? this.anyBroker() : this.brokerWithId(id)
  }

  /**
   * Any connected broker.
   * @internal
   */
  async anyBroker(): Promise<Broker> {
    this.#failIfClosed()
    try {
      return await this.cluster.brokerPool.findConnectedBroker()
    } catch (error) {
      throw this.#failed(error, false, {})
    }
  }

  /**
   * The connected broker with a node id. Throws CONNECTION (the metadata was refreshed then) or BROKER_NOT_AVAILABLE.
   * @internal
   */
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
   * @internal
   */
  async send<T>(broker: Broker, request: ApiRequest<T>, concerns: Concerns = {}): Promise<T> {
    this.#failIfClosed()
    if (broker.versions === null) {
      // It took the connection and never said what it speaks, as one that hangs: the next try begins with a new connection.
      await broker.disconnect()
      throw KafkaError.connection('the broker takes connections and does not answer', false, {
        broker: addressOf(broker),
      })
    }
    assertVersion(broker, request)
    let sent = false
    try {
      const answer = await sendRequest(broker, request, this.#requestTimeoutMs, () => (sent = true))
      this.#lostBrokers.reached(addressOf(broker))
      return answer
    } catch (error) {
      const failure = this.#failed(error, sent, { ...concerns, broker: addressOf(broker) })
      if (failure.name === 'REQUEST_TIMED_OUT') this.#dropConnection(broker, request.apiKey, failure)
      throw failure
    }
  }

  /**
   * A broker that does not answer in time may never do so on this connection (a dead peer sends nothing at all): the Java
   * client closes it too. What else waits on it fails now, with the outcome unknown.
   */
  #dropConnection(broker: Broker, apiKey: number, why: KafkaError): void {
    const connection = connectionFor(broker, apiKey)
    if (connection === undefined || !connection.isConnected()) return
    connection.rejectRequests(
      KafkaError.connection(`dropped after ${why.message}`, true, { broker: addressOf(broker) }),
    )
    void connection.disconnect()
  }

  async #fetchMetadata(broker: Broker, topics: readonly string[]): Promise<BrokerMetadata> {
    const answer = await this.send(broker, metadata(topics))
    this.#refreshedAtMs = performance.now()
    this.#topics.answered(answer.topics)
    return {
      brokers: answer.brokers,
      clusterId: answer.clusterId,
      controllerId: answer.controllerId,
      topicMetadata: answer.topics.filter((topic) => topic.errorCode === 0).map(asKafkaJs),
    }
  }

  #failIfClosed(): void {
    if (this.#closed !== undefined) throw KafkaError.closed()
  }

  #failed(error: unknown, sent: boolean, concerns: Concerns): KafkaError {
    if (this.#closed !== undefined) return KafkaError.closed(sent)
    const failure = toKafkaError(error, sent, concerns)
    if (isKafkaError(failure, 'CONNECTION', 'REQUEST_TIMED_OUT')) this.#lostBrokers.lost(failure)
    return failure
  }
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
