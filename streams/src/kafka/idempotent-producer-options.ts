import type { KafkaClient } from './client.js'
import type { ProducerState } from './delivery-state.js'
import type { KafkaError } from './errors.js'
import type { Compression } from './records/batch.js'
import type { PlainRecord } from './records/rebuild.js'

export type { ProducerState }

/** A record that Kafka will never accept. */
export interface RejectedRecord extends PlainRecord {
  topic: string
  partition: number
}

/** What it needs of a KafkaClient. */
export type ProducerClient = Pick<
  KafkaClient,
  'leaderIdOf' | 'partitionCount' | 'brokerWithId' | 'anyBroker' | 'send' | 'refreshMetadata' | 'log' | 'closing'
>

/** How much may wait, for how long, and who is told. */
export interface IdempotentProducerOptions {
  /** At most this much waits for Kafka, as encoded before compression. A full buffer refuses: send() returns false. */
  maxBufferedBytes: number
  /** How long a record may wait for company before it is sent. Default 5 ms. */
  lingerMs?: number
  /** Default none. */
  compression?: Compression
  /** At most the topics' max.message.bytes. Default 1,000,000. */
  maxBatchBytes?: number
  // The handlers are called in the middle of things: they must not throw.
  /** After each accepted batch: its records, and how long its first one has waited. */
  onDelivered?(count: number, latencyMs: number): void
  /** Records that Kafka will never accept. Without this handler they are only logged. */
  onRejected?(records: RejectedRecord[], error: KafkaError): void
  /** Once when deliveries begin to fail, once when all go through again. */
  onState?(state: ProducerState, error?: KafkaError): void
}
