import { changelogTopic } from '../changelog/changelog-topics.js'
import { messageOf, StreamsError } from '../errors.js'
import type { KafkaClient } from '../kafka/client.js'
import { RecordAccumulator, type Compression } from '../kafka/records/encode.js'
import type { RefusedRecords } from '../kafka/refused-records.js'
import type { ErrorHandlers } from '../processing/error-handlers.js'
import { ProductionErrors } from '../processing/production-errors.js'
import { nameOfNode } from '../topology/nodes.js'
import type { Topology } from '../topology/topology.js'
import { appendDeadLetter } from './append-dead-letter.js'
import type { GivenUpCounts } from './given-up-counts.js'

export interface RefusedOutputOptions {
  applicationId: string
  topology: Topology
  handlers: ErrorHandlers
  client: Pick<KafkaClient, 'partitionCount'>
  compression: Compression
}

/**
 * What no broker takes of one interval: outputs are decided about one by one, and those put aside become `letters`, to be
 * written with the rest; anything else stops the application, because it would be lost without anybody having said so.
 */
export class RefusedOutput {
  readonly letters: RecordAccumulator
  readonly #options: RefusedOutputOptions
  readonly #production: ProductionErrors

  constructor(options: RefusedOutputOptions, givenUp: GivenUpCounts) {
    this.#options = options
    this.letters = new RecordAccumulator({ compression: options.compression })
    this.#production = new ProductionErrors(options.handlers, {
      deadLetter: (record) => {
        appendDeadLetter(this.letters, options.client, record)
        givenUp.add('dead-letter', record)
      },
      dropped: (record) => givenUp.add('dropped', record),
    })
  }

  /** @throws StreamsError PRODUCTION or HANDLER, to stop */
  readonly decide = ({ topic, partition, records, error }: RefusedRecords): void => {
    const { applicationId, topology } = this.#options
    const stores = topology.subTopologies.flatMap((sub) => sub.stores.map(({ name }) => name))
    const store = stores.find((name) => changelogTopic(applicationId, name) === topic)
    if (store !== undefined) throw changelogRefused({ store, topic, partition, key: records[0]!.key }, error)
    const sink = topology.sinks.find((one) => one.topic === topic)
    if (sink === undefined) throw deadLetterRefused(topic, partition, error)
    for (const { key, value, headers } of records) {
      const failed = {
        taskId: undefined,
        node: nameOfNode(sink),
        topic,
        partition,
        input: undefined,
        key,
        value,
        headers,
      }
      this.#production.failed(sink, failed, partition, error)
    }
  }

  /** @throws StreamsError PRODUCTION: what was to be put aside must not vanish */
  readonly decideAboutLetters = ({ topic, partition, error }: RefusedRecords): void => {
    throw deadLetterRefused(topic, partition, error)
  }
}

/** A change of a store that cannot be logged could not be restored: there is nothing to decide. */
export function changelogRefused(
  {
    task,
    store,
    topic,
    partition,
    key,
  }: { task?: string; store: string; topic: string; partition: number; key: Buffer | null },
  error: unknown,
): StreamsError {
  const told = key?.toString('utf8').slice(0, 200) ?? ''
  return new StreamsError(
    'PRODUCTION',
    `the change of key '${told}' of store ${store} cannot be written to its changelog ${topic}-${partition}: ` +
      `${messageOf(error)}. Without it the state could not be restored, so the application stops. A value over 1,000,000 ` +
      `bytes encoded has to be kept smaller, or cut into several keys; below that, raise max.message.bytes of the topic ` +
      `to 1,048,588 or more, or give this application the right to write it`,
    { ...(task !== undefined && { task }), store, topic, partition, key: told },
    { cause: error },
  )
}

function deadLetterRefused(topic: string, partition: number, error: unknown): StreamsError {
  return new StreamsError(
    'PRODUCTION',
    `dead letters cannot be written to ${topic}-${partition}: ${messageOf(error)}. What is put aside must not vanish, so ` +
      `the application stops: the topic has to be there, to be written by this application, and to take records of ` +
      `1,000,000 bytes`,
    { topic, partition },
    { cause: error },
  )
}
