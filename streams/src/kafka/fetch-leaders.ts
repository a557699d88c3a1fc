import type { Broker, KafkaClient } from './client.js'

/** A broker that partitions are fetched from. */
export interface Leader {
  broker: Broker
  inFlight: boolean
  /** The last answer was empty while partitions were left out for lack of room: nothing to ask before there is more. */
  resting: boolean
  /** Since the Fetch in flight was sent, a chunk was taken or the assignment changed: the next one may ask for more. */
  changed: boolean
}

/** The brokers a fetcher asks, by node id. */
export class FetchLeaders {
  readonly #client: KafkaClient
  readonly #leaders = new Map<string, Leader>()
  readonly #watched = new Set<string>()

  constructor(client: KafkaClient) {
    this.#client = client
  }

  get(leaderId: string): Leader | undefined {
    return this.#leaders.get(leaderId)
  }

  values(): IterableIterator<Leader> {
    return this.#leaders.values()
  }

  delete(leaderId: string): void {
    this.#leaders.delete(leaderId)
  }

  /**
   * The id of the connected leader of a partition, as the metadata says now.
   * @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, CONNECTION: all of them may heal
   */
  async find(topic: string, partition: number): Promise<string> {
    if (!this.#watched.has(topic)) {
      await this.#client.connect()
      await this.#client.watchTopics([topic])
      this.#watched.add(topic)
    }
    const broker = await this.#client.leaderOf(topic, partition)
    const leaderId = String(broker.nodeId)
    const known = this.#leaders.get(leaderId)
    if (known === undefined) this.#leaders.set(leaderId, { broker, inFlight: false, resting: false, changed: false })
    else known.broker = broker
    return leaderId
  }
}
