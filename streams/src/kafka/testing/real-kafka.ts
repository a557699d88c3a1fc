import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { KafkaAdmin } from '../admin.js'
import { KafkaClient } from '../client.js'
import type { IsolationLevel } from '../fetched-chunk.js'
import { fetchRequest } from '../protocol/fetch.js'
import { visitRecords } from '../records/decode.js'
import { KeptLog } from './test-cluster.js'

/** One client on a real broker, with topics and groups of its own; close() takes them away. */
export class RealKafka {
  readonly log = new KeptLog()
  readonly client: KafkaClient
  readonly admin: KafkaAdmin
  readonly #topics: string[] = []
  readonly #closers: (() => Promise<unknown>)[] = []

  constructor(brokers: string) {
    this.client = new KafkaClient({ brokers: brokers.split(','), clientId: 'kafka-wire-test' }, this.log)
    this.admin = new KafkaAdmin(this.client)
  }

  name(purpose: string): string {
    return `kafka-wire-${purpose}-${randomBytes(4).toString('hex')}`
  }

  async topic(partitions: number, config: Record<string, string> = {}): Promise<string> {
    const name = this.name('topic')
    await this.admin.createTopics([{ name, partitions, config }])
    this.#topics.push(name)
    await this.client.watchTopics([name])
    return name
  }

  /** Runs before the topics are deleted. */
  defer(closer: () => Promise<unknown>): void {
    this.#closers.push(closer)
  }

  /** Everything in a partition that this isolation shows, values as text. */
  /** Whether every transaction on a partition is ended there: decided is one thing, the marker comes a little later. */
  async isDecided(topic: string, partition: number): Promise<boolean> {
    const [committed, written] = await Promise.all(
      (['read_committed', 'read_uncommitted'] as const).map((isolation) =>
        this.admin.listOffsets(topic, [partition], 'latest', isolation),
      ),
    )
    return committed!.get(partition) === written!.get(partition)
  }

  async values(topic: string, partition: number, isolation: IsolationLevel = 'read_committed'): Promise<string[]> {
    const values: string[] = []
    const end = (await this.admin.listOffsets(topic, [partition], 'latest', isolation)).get(partition)!
    let position = (await this.admin.listOffsets(topic, [partition], 'earliest', isolation)).get(partition)!
    while (position < end) {
      const request = fetchRequest({
        isolation,
        maxWaitMs: 100,
        minBytes: 1,
        maxBytes: 8 * 1024 * 1024,
        partitions: [{ topic, partition, offset: position, maxBytes: 8 * 1024 * 1024 }],
      })
      const answer = await this.client.send(await this.client.leaderOf(topic, partition), request)
      for (const { errorCode: _errorCode, ...chunk } of answer.partitions) {
        position = visitRecords(
          { ...chunk, fetchOffset: position },
          isolation,
          (_offset, _timestampMs, bytes, _keyStart, _keyEnd, start, valueEnd) => {
            values.push(bytes.toString('utf8', start, valueEnd))
          },
        )
      }
    }
    return values
  }

  /** Breaks the connections as a network does, without a word. Resolves when the client has noticed. */
  async cutConnections(): Promise<void> {
    const brokers = Object.values(this.client.cluster.brokerPool.brokers)
    const cut = brokers.flatMap(({ connectionPool }) => connectionPool.pool.map(({ socket }) => socket))
    const gone = cut
      .filter((socket) => socket !== undefined)
      .map((socket) => once(socket, 'close').catch(() => undefined))
    for (const socket of cut) socket?.destroy(new Error('cut by the test'))
    await Promise.all(gone)
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0).reverse()) await closer()
    await this.admin.deleteTopics(this.#topics.splice(0))
    await this.client.close()
  }
}

/** For expect.poll: patience for a machine that is busy with other things, a starting JVM among them. */
export const PATIENT = { timeout: 45_000, interval: 20 }
