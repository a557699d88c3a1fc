import { randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { Kafka, logLevel, type Admin, type ConfigResourceTypes, type Producer } from 'kafkajs'
import { KafkaClient } from '../client.js'
import type { KafkaLog } from '../config.js'
import type { FetchedChunk, IsolationLevel } from '../fetched-chunk.js'
import { visitRecords } from '../records/decode.js'

/** Of Kafka's resources; KafkaJS's enum cannot be imported by name at run time. */
const TOPIC: ConfigResourceTypes.TOPIC = 2

/** A log that keeps its lines, so that a test can say which must (not) appear. */
export class KeptLog implements KafkaLog {
  readonly lines: { level: string; message: string; fields: object }[] = []
  debug = (): void => undefined
  info = (fields: object, message: string) => void this.lines.push({ level: 'info', message, fields })
  warn = (fields: object, message: string) => void this.lines.push({ level: 'warn', message, fields })
  error = (fields: object, message: string) => void this.lines.push({ level: 'error', message, fields })

  count(message: string): number {
    return this.lines.filter((line) => line.message === message).length
  }
}

/**
 * Topics, records and groups for tests on a real broker. Written with KafkaJS's own producer and admin client, so that
 * what our consumers read was not written by us. close() takes away everything that was made.
 */
export class TestCluster {
  readonly log = new KeptLog()
  readonly kafka: Kafka
  readonly brokers: string[]
  readonly #closers: (() => Promise<unknown>)[] = []
  #admin: Admin | undefined
  #producer: Producer | undefined

  constructor(brokers: string) {
    this.brokers = brokers.split(',')
    this.kafka = new Kafka({ brokers: this.brokers, clientId: 'test', logLevel: logLevel.NOTHING })
  }

  name(purpose: string): string {
    return `test-${purpose}-${randomBytes(4).toString('hex')}`
  }

  async admin(): Promise<Admin> {
    if (this.#admin === undefined) {
      this.#admin = this.kafka.admin()
      await this.#admin.connect()
    }
    return this.#admin
  }

  async topic(partitions: number, config: Record<string, string> = {}): Promise<string> {
    const topic = this.name('topic')
    const admin = await this.admin()
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    // Waits for the leaders by itself: KafkaJS's own wait gives up on a broker that has not heard of the topic yet.
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }], waitForLeaders: false })
    await until(() => this.#isLed(admin, topic, partitions), `topic ${topic} has leaders`)
    this.#closers.push(() => admin.deleteTopics({ topics: [topic] }))
    return topic
  }

  async #isLed(admin: Admin, topic: string, partitions: number): Promise<boolean> {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0]?.partitions.length === partitions && topics[0].partitions.every(({ leader }) => leader >= 0)
    } catch {
      return false
    }
  }

  client(clientId = 'test'): KafkaClient {
    const client = new KafkaClient({ brokers: this.brokers, clientId }, this.log)
    this.#closers.push(() => client.close())
    return client
  }

  async send(topic: string, partition: number, values: readonly (string | Buffer)[], gzip = false): Promise<void> {
    const messages = values.map((value) => ({ partition, value, key: null }))
    await (await this.#connected()).send({ topic, messages, compression: gzip ? 1 : 0 })
  }

  /** Keys and values as given. */
  async sendKeyed(topic: string, partition: number, records: readonly (readonly [string, string])[]): Promise<void> {
    const messages = records.map(([key, value]) => ({ partition, key, value }))
    await (await this.#connected()).send({ topic, messages })
  }

  async #connected(): Promise<Producer> {
    if (this.#producer === undefined) {
      this.#producer = this.kafka.producer()
      await this.#producer.connect()
    }
    return this.#producer
  }

  /** Gives a topic more partitions. */
  async grow(topic: string, count: number): Promise<void> {
    const admin = await this.admin()
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
    await until(() => this.#isLed(admin, topic, count), `topic ${topic} has ${count} partitions`)
  }

  /** Gives a topic these settings, and no other of its own. */
  async configure(topic: string, config: Record<string, string>): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const resources = [{ type: TOPIC, name: topic, configEntries }]
    await (await this.admin()).alterConfigs({ validateOnly: false, resources })
  }

  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    const admin = await this.admin()
    const partitions = [{ partition, offset: String(before) }]
    // The first call fails while KafkaJS has not loaded the topic's metadata.
    await until(
      () =>
        admin.deleteTopicRecords({ topic, partitions }).then(
          () => true,
          () => false,
        ),
      'records are deleted',
    )
  }

  async transactionalProducer(): Promise<Producer> {
    const transactionalId = this.name('tx')
    const producer = this.kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    this.#closers.push(() => producer.disconnect())
    return producer
  }

  /** Breaks every connection this process has to the brokers, as a broken network or a broker that dies would. */
  cutConnections(): number {
    const ports = this.brokers.map((broker) => Number(broker.split(':')[1]))
    const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles(): unknown[] }
    const sockets = handles.call(process).filter((handle): handle is Socket => handle instanceof Socket)
    const ours = sockets.filter(({ remotePort }) => ports.includes(remotePort ?? 0))
    for (const socket of ours) socket.destroy(new Error('cut by the test'))
    return ours.length
  }

  /** Runs when the test is over, before topics are deleted. */
  defer(closer: () => Promise<unknown>): void {
    this.#closers.push(closer)
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0).reverse()) await closer()
    await this.#producer?.disconnect()
    await this.#admin?.disconnect()
    this.#producer = this.#admin = undefined
  }
}

/** The values of a chunk, as text. */
export function valuesOf(chunk: FetchedChunk, isolation: IsolationLevel = 'read_committed'): string[] {
  const values: string[] = []
  visitRecords(chunk, isolation, (_offset, _timestampMs, bytes, _keyStart, _keyEnd, start, end) => {
    values.push(bytes.toString('utf8', start, end))
  })
  return values
}

/** Resolves when `condition` holds; looks again every 10 ms. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 30_000,
): Promise<void> {
  const giveUpAtMs = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > giveUpAtMs) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
