import type { KafkaClient } from '@candlewick/streams/kafka/client'
import { KafkaError } from '@candlewick/streams/kafka/errors'
import { pause } from '@candlewick/streams/kafka/retry'
import { QueryClient, type QueryClientOptions, type RoutingTable } from '@candlewick/streams/queries/query-client'
import type { LiveState } from '../dependencies.js'

const RETRY_MS = 500

/** The runtime's query client for a gateway that is up before Kafka is: until then nobody owns anything. */
export class ProcessorQueries implements LiveState {
  readonly #queries: QueryClient
  readonly #closing = new AbortController()
  #started = false

  constructor(
    client: KafkaClient,
    private readonly options: QueryClientOptions,
  ) {
    this.#queries = new QueryClient(client, options)
  }

  /** Resolves when the routing table was read or at close(); waits while Kafka is away or the topic is not there yet. */
  async start(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#queries.start()
        this.#started = true
        return
      } catch (error) {
        if (this.#closing.signal.aborted) return
        if (!(error instanceof KafkaError) || error.kind !== 'retriable') throw error
        this.options.log.debug({ error: error.message }, 'cannot read who has which partition yet')
        await pause(RETRY_MS, this.#closing.signal)
      }
    }
  }

  close(): void {
    this.#closing.abort()
    this.#queries.close()
  }

  query: LiveState['query'] = async (name, key, params) =>
    this.#started ? this.#queries.query(name, key, params) : { kind: 'no-owner' }

  queryAll: LiveState['queryAll'] = async (name, params) =>
    this.#started ? this.#queries.queryAll(name, params) : { results: [], missingPartitions: [] }

  routing(): RoutingTable {
    if (this.#started) return this.#queries.routing()
    return { applicationId: this.options.applicationId, epoch: undefined, members: [], partitions: [] }
  }
}
