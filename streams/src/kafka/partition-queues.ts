import type { KafkaClient } from './client.js'
import { KafkaError } from './errors.js'
import { PartitionQueue } from './partition-queue.js'
import { partitionFor } from './partitioner.js'
import type { ProducerStanding } from './producer-id.js'
import type { Compression } from './records/batch.js'

/** The queues of one producer, made with the first record of each partition. */
export class PartitionQueues {
  readonly #client: Pick<KafkaClient, 'partitionCount'>
  readonly #options: { maxBatchBytes: number; compression: Compression }
  readonly #topics = new Map<string, Map<number, PartitionQueue>>()
  readonly #queues: PartitionQueue[] = []
  #keyless = 0

  constructor(
    client: Pick<KafkaClient, 'partitionCount'>,
    options: { maxBatchBytes: number; compression: Compression },
  ) {
    this.#client = client
    this.#options = options
  }

  get all(): readonly PartitionQueue[] {
    return this.#queues
  }

  /** By the key as Java's producer does, in turn for a record without one. */
  choosePartition(topic: string, key: Buffer | null): number {
    const count = this.#client.partitionCount(topic)
    return key === null ? this.#keyless++ % count : partitionFor(key, count)
  }

  /**
   * @param standing of a queue that is new
   * @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION for a topic that is not watched, or has no such partition
   */
  get(topic: string, partition: number, standing: ProducerStanding | undefined): PartitionQueue {
    let partitions = this.#topics.get(topic)
    let queue = partitions?.get(partition)
    if (queue !== undefined) return queue
    if (standing === undefined) throw new Error('start() comes first')
    if (partition < 0 || partition >= this.#client.partitionCount(topic)) {
      throw KafkaError.named('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
    }
    queue = new PartitionQueue({ topic, partition }, standing, this.#options)
    if (partitions === undefined) this.#topics.set(topic, (partitions = new Map()))
    partitions.set(partition, queue)
    this.#queues.push(queue)
    return queue
  }
}
