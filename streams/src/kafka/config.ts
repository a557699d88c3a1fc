import type { ConnectionOptions } from 'node:tls'

/** What is needed to reach a Kafka cluster. */
export interface KafkaConfig {
  /** `host:port` of brokers to ask first; the rest of the cluster is learnt from them. */
  brokers: readonly string[]
  /** Appears in the broker's logs, quotas and group descriptions. */
  clientId: string
  /** TLS: true for the certificate authorities Node knows, or Node's own options (ca, cert, key, servername). */
  ssl?: boolean | ConnectionOptions
  sasl?: SaslOptions
  /** How long an answer may take before the connection is given up (30,000 ms). */
  requestTimeoutMs?: number
  /** How long opening a connection, with its TLS handshake, may take (5,000 ms). */
  connectionTimeoutMs?: number
}

/** A login. */
export interface SaslOptions {
  mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  username: string
  password: string
}

/** Where this library writes its log: pino fits. `debug` may be called often, `info` and above once per change of state. */
export interface KafkaLog {
  /** For whoever looks for a fault. */
  debug(fields: object, message: string): void
  /** A change of state. */
  info(fields: object, message: string): void
  /** Something that heals by itself, or was decided by a handler. */
  warn(fields: object, message: string): void
  /** Something that somebody should look at. */
  error(fields: object, message: string): void
}
