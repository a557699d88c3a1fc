/**
 * The part of KafkaJS's insides that this folder stands on, typed. KafkaJS 2.2.4 keeps sockets, TLS, SASL, correlation of
 * requests and group membership; everything else is ours. Its insides are no public API, so the exact version is pinned and
 * its shape is checked when the first client is made: a changed KafkaJS fails with a sentence, not with a TypeError later.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { Kafka, type Mechanism } from 'kafkajs'
import type { SaslOptions } from './config.js'

const require = createRequire(import.meta.url)

export const KAFKAJS_VERSION = '2.2.4'

export type VersionRange = { minVersion: number; maxVersion: number }

/** network/connection.js: one socket, with its queue of requests. */
export interface KafkaJsConnection {
  readonly host: string
  readonly port: number
  readonly broker: string
  readonly ssl: object | null
  socket?: Socket
  /** process.hrtime() of the last login; null before the first. */
  authenticatedAt: [number, number] | null
  /** How long, in ms, a login is good for; 0 = for ever. A Long, which Number() understands. */
  sessionLifetime: { toString(): string }
  isAuthenticated(): boolean
  /** Logs in, if there is a login and it is not good any more. */
  authenticate(): Promise<void>
  /** The answer that is being received: what came, and how much must have come before it can be read. */
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  processData(bytes: Buffer): void
  isConnected(): boolean
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
  send<T>(request: KafkaJsRequest<T>): Promise<T>
  /** Rejects everything that waits for an answer. */
  rejectRequests(error: Error): void
}

export interface KafkaJsRequest<T> {
  request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<{ buf: Buffer; buffer: Buffer }> }
  response: {
    decode(bytes: Buffer): Promise<{ clientSideThrottleTime: number; answer: T }>
    parse(decoded: { clientSideThrottleTime: number; answer: T }): Promise<T>
  }
  requestTimeout?: number | null
  logResponseError?: boolean
}

/** network/connectionPool.js: the two connections to one broker, [0] for everything but fetches, [1] for fetches. */
export interface KafkaJsConnectionPool {
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly pool: readonly KafkaJsConnection[]
  getConnectionByRequest(request: { request: { apiKey: number } }): Promise<KafkaJsConnection>
}

/**
 * broker/index.js
 * @internal
 */
export interface Broker {
  readonly nodeId: string | number | null
  readonly versions: Record<number, VersionRange> | null
  connectionPool: KafkaJsConnectionPool
  isConnected(): boolean
  connect(): Promise<void>
  disconnect(): Promise<void>
  metadata(topics?: readonly string[]): Promise<BrokerMetadata>
}

export interface BrokerMetadata {
  brokers: { nodeId: number; host: string; port: number; rack: string | null }[]
  clusterId: string | null
  controllerId: number
  topicMetadata: {
    topic: string
    topicErrorCode: number
    isInternal: boolean
    partitionMetadata: {
      partitionErrorCode: number
      partitionId: number
      leader: number
      replicas: number[]
      isr: number[]
      offlineReplicas: number[]
    }[]
  }[]
}

/** cluster/brokerPool.js */
export interface BrokerPool {
  brokers: Record<string, Broker>
  seedBroker?: Broker
  metadata: BrokerMetadata | null
  readonly connectionPoolBuilder: {
    build(destination: { host: string; port: number; rack: string | null }): Promise<KafkaJsConnectionPool>
  }
  createBroker(options: object): Broker
  connectBroker(broker: Broker): Promise<void>
  findBroker(options: { nodeId: string | number }): Promise<Broker>
  findConnectedBroker(): Promise<Broker>
}

/** cluster/index.js */
export interface Cluster {
  readonly brokerPool: BrokerPool
  readonly targetTopics: Set<string>
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findGroupCoordinator(options: { groupId: string; coordinatorType?: number }): Promise<Broker>
}

/** network/requestQueue/index.js */
export interface RequestQueue {
  readonly pending: readonly unknown[]
  readonly inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>
  readonly requestTimeout: number
  readonly enforceRequestTimeout: boolean
  requestTimeoutIntervalId?: NodeJS.Timeout
  isConnected(): boolean
  destroy(): void
  scheduleRequestTimeoutCheck(): void
  scheduleCheckPendingRequests(): void
}

interface Prototype<T> {
  prototype: T
}

export const requestQueueClass = require('kafkajs/src/network/requestQueue') as Prototype<RequestQueue>
export const connectionClass = require('kafkajs/src/network/connection') as Prototype<KafkaJsConnection>

type LoginBy = (sasl: SaslOptions) => Mechanism['authenticationProvider']

/** broker/saslAuthenticator: the logins, in the shape in which KafkaJS takes other people's. */
export const loginsBy: Record<SaslOptions['mechanism'], LoginBy> = {
  plain: require('kafkajs/src/broker/saslAuthenticator/plain') as LoginBy,
  'scram-sha-256': require('kafkajs/src/broker/saslAuthenticator/scram256') as LoginBy,
  'scram-sha-512': require('kafkajs/src/broker/saslAuthenticator/scram512') as LoginBy,
}

export interface ClusterOptions {
  metadataMaxAge: number
  allowAutoTopicCreation: boolean
  isolationLevel: number
  maxInFlightRequests: null
}

type ClusterFactory = (options: ClusterOptions) => Cluster

/** KafkaJS's cluster behind a Kafka instance, by the symbol it keeps it under (kafkajs/src/index.js, CREATE_CLUSTER). */
export function createCluster(kafka: Kafka, options: ClusterOptions): Cluster {
  return clusterFactoryOf(kafka).call(kafka, options)
}

function clusterFactoryOf(kafka: Kafka): ClusterFactory {
  const symbol = Object.getOwnPropertySymbols(kafka).find((s) => s.description === 'private:Kafka:createCluster')
  const factory: unknown = symbol === undefined ? undefined : Reflect.get(kafka, symbol)
  if (typeof factory !== 'function') throw wrongVersion('it has no createCluster')
  return factory as ClusterFactory
}

/** Throws a sentence that names the version needed if the installed KafkaJS is not the one this folder was written for. */
export function assertKafkaJsShape(): void {
  const { version } = require('kafkajs/package.json') as { version: string }
  if (version !== KAFKAJS_VERSION) throw wrongVersion(`it is ${version}`)
  const methods: [object, string[]][] = [
    [requestQueueClass.prototype, ['scheduleCheckPendingRequests', 'scheduleRequestTimeoutCheck', 'destroy']],
    [
      connectionClass.prototype,
      [
        'connect',
        'disconnect',
        'rejectRequests',
        'isConnected',
        'isAuthenticated',
        'authenticate',
        'send',
        'processData',
      ],
    ],
  ]
  for (const [owner, names] of methods) {
    const missing = names.filter((name) => typeof Reflect.get(owner, name) !== 'function')
    if (missing.length > 0) throw wrongVersion(`${owner.constructor.name} has no ${missing.join(', ')}`)
  }
  clusterFactoryOf(new Kafka({ brokers: ['127.0.0.1:9092'], logCreator: () => () => undefined }))
}

function wrongVersion(why: string): Error {
  return new Error(
    `streams/kafka needs exactly kafkajs ${KAFKAJS_VERSION} (${why}): npm install kafkajs@${KAFKAJS_VERSION}`,
  )
}
