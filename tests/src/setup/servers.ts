import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCassandra } from '@candlewick/dev/local/cassandra-server'
import { startKafka } from '@candlewick/dev/local/kafka-server'
import { watchdog } from '@candlewick/dev/local/watchdog'
import type { TestProject } from 'vitest/node'

/**
 * One real Kafka and one real Cassandra for the whole run, on free ports and in a folder of their own, so that runs at
 * the same time do not meet. Already running ones are used when TEST_KAFKA_BROKERS (host:port) or TEST_CASSANDRA
 * (host:port) say where. Whatever happens to the run, nothing stays behind: see dev/src/local/watchdog.ts.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { TEST_KAFKA_BROKERS: kafkaBrokers, TEST_CASSANDRA: cassandra } = process.env
  const dir = await mkdtemp(join(tmpdir(), 'candlewick-test-'))
  watchdog.remove(dir)
  const started: { stop(): Promise<void> }[] = []

  async function provideKafka(): Promise<void> {
    if (kafkaBrokers) return project.provide('kafkaBrokers', kafkaBrokers)
    const kafka = await startKafka({ dir: join(dir, 'kafka') })
    started.push(kafka)
    project.provide('kafkaBrokers', kafka.brokers)
  }

  async function provideCassandra(): Promise<void> {
    if (cassandra) {
      const [host = '127.0.0.1', port = '9042'] = cassandra.split(':')
      return project.provide('cassandra', { host, port: Number(port) })
    }
    const server = await startCassandra({ dir: join(dir, 'cassandra') })
    started.push(server)
    project.provide('cassandra', { host: server.host, port: server.port })
  }

  async function teardown(): Promise<void> {
    await Promise.all(started.map((server) => server.stop()))
    await rm(dir, { recursive: true, force: true })
  }

  const outcomes = await Promise.allSettled([provideKafka(), provideCassandra()])
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) {
    await teardown()
    throw failed.reason
  }
  return teardown
}
