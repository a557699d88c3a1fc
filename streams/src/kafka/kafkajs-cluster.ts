import { Kafka, logLevel } from 'kafkajs'
import type { KafkaConfig, KafkaLog } from './config.js'
import { logTo, mendBrokerConnect, mendKafkaJs, saslOptions, socketFactory, tlsOptions } from './kafkajs-mends.js'
import { createCluster, type Cluster } from './kafkajs-private.js'

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000
const DEFAULT_CONNECTION_TIMEOUT_MS = 5_000
const READ_COMMITTED = 1

/** Metadata older than this is refreshed in the background when a leader is asked for (partitions may have been added). */
export const METADATA_MAX_AGE_MS = 300_000

/** How long one request may take, without the time the broker itself was asked to wait. */
export function requestTimeoutMsOf({ requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS }: KafkaConfig): number {
  return requestTimeoutMs
}

/**
 * KafkaJS's connections to one cluster, mended, as our configuration wants them; nothing is connected yet, and nothing will be
 * any more once `closing` is aborted.
 */
export function clusterOf(config: KafkaConfig, log: KafkaLog, closing: AbortSignal): Cluster {
  mendKafkaJs()
  const ssl = tlsOptions(config.ssl)
  const kafka = new Kafka({
    brokers: [...config.brokers],
    clientId: config.clientId,
    ...(ssl !== undefined && { ssl }),
    ...(config.sasl !== undefined && { sasl: saslOptions(config.sasl) }),
    connectionTimeout: config.connectionTimeoutMs ?? DEFAULT_CONNECTION_TIMEOUT_MS,
    requestTimeout: requestTimeoutMsOf(config),
    enforceRequestTimeout: true,
    // Enough to try every seed broker once; further tries are ours, with metadata refreshed in between.
    retry: { retries: config.brokers.length, initialRetryTime: 50, maxRetryTime: 200, multiplier: 1.5, factor: 0.2 },
    socketFactory: socketFactory(closing),
    logLevel: logLevel.INFO,
    logCreator: () => logTo(log),
  })
  const cluster = createCluster(kafka, {
    metadataMaxAge: METADATA_MAX_AGE_MS,
    allowAutoTopicCreation: false,
    isolationLevel: READ_COMMITTED,
    maxInFlightRequests: null,
  })
  mendBrokerConnect(cluster)
  return cluster
}
