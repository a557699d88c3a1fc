import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectWhenUp, createClient } from '@candlewick/cassandra/client'
import { HistoryReader } from '@candlewick/cassandra/reader'
import { cassandraConfig, CASSANDRA_SETTINGS } from '@candlewick/cassandra/settings'
import { startSinkWorker } from '@candlewick/cassandra/sink-thread'
import { recordingLog } from '@candlewick/cassandra/testing/keyspace'
import { average, bar, FRIDAY, trade } from '@candlewick/cassandra/testing/samples'
import { startCassandra, type CassandraServer } from '@candlewick/dev/local/cassandra-server'
import { TestAuthority } from '@candlewick/dev/testing/authority'
import { averageCodec, barCodec, prepareCodecs, tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import { createLogger } from '@candlewick/service/logger'
import { readSettings } from '@candlewick/service/settings'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { runMain } from './secure-settings.js'
import { until } from './wait.js'

const PASSWORD = `never-to-be-seen-${randomBytes(6).toString('hex')}`
const MIGRATE = 'cassandra/dist/migrate-main.js'

let dir: string
let authority: TestAuthority
let cassandra: CassandraServer
/** Settings that let one in: an authority of our own, a certificate and a password. */
let login: Record<string, string>

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'candlewick-secure-cassandra-'))
  authority = new TestAuthority(dir)
  const { storeFile } = authority.issue('node')
  const { certFile, keyFile } = authority.issue('client')
  cassandra = await startCassandra({
    dir: join(dir, 'cassandra'),
    heapMb: 512,
    security: { storeFile, caFile: authority.caFile },
  })
  login = {
    CASSANDRA_CONTACT_POINTS: `${cassandra.host}:${cassandra.port}`,
    CASSANDRA_SSL: 'true',
    CASSANDRA_SSL_CA_FILE: authority.caFile,
    CASSANDRA_SSL_CERT_FILE: certFile,
    CASSANDRA_SSL_KEY_FILE: keyFile,
    CASSANDRA_USERNAME: 'candlewick',
    CASSANDRA_PASSWORD: PASSWORD,
  }
  await makeUser()
})
afterAll(async () => {
  await cassandra?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const configOf = (env: Record<string, string>) => cassandraConfig(readSettings(CASSANDRA_SETTINGS, env))

/** What an operator does first: a user of the application's own, with the rights it needs. */
async function makeUser(): Promise<void> {
  const config = configOf({ ...login, CASSANDRA_USERNAME: 'cassandra', CASSANDRA_PASSWORD: 'cassandra' })
  const { signal } = new AbortController()
  const first = await connectWhenUp(() => createClient(config), { log: recordingLog(), signal })
  for (const statement of [
    `CREATE ROLE candlewick WITH LOGIN = true AND PASSWORD = '${PASSWORD}'`,
    `GRANT CREATE ON ALL KEYSPACES TO candlewick`,
  ]) {
    await first.execute(statement, [], { prepare: false })
  }
  await first.shutdown()
}

describe('Cassandra with TLS, certificates and logins, by settings alone', () => {
  it('is migrated, filled by the sink and read', async () => {
    expect(await runMain(MIGRATE, login)).toMatchObject({ code: 0, stderr: '' })

    const kafkaConfig = { brokers: [inject('kafkaBrokers')], clientId: 'secure-test' }
    const topicPrefix = `secure-${randomBytes(4).toString('hex')}-`
    const names = topicNames(topicPrefix)
    const groupId = `${topicPrefix}sink`
    await prepareCodecs()
    const client = new KafkaClient(kafkaConfig, recordingLog())
    await client.connect()
    const admin = new KafkaAdmin(client)
    await admin.createTopics(topicSpecs({ partitions: 1, replicationFactor: 1, prefix: topicPrefix }))
    await client.watchTopics(Object.values(names))
    const producer = new IdempotentProducer(client, { maxBufferedBytes: 1 << 20 })
    await producer.start()
    const send = (topic: string, value: Buffer) => producer.send(topic, null, Buffer.from('AAPL'), value, Date.now())
    send(names.trades, tradeCodec.encode(trade()))
    send(names.averages, averageCodec.encode(average()))
    send(names.bars, barCodec.encode(bar()))
    await producer.close()

    const config = { kafka: kafkaConfig, cassandra: configOf(login), groupId, topicPrefix }
    const sink = startSinkWorker(config, createLogger('test', 'silent'))
    const reader = new HistoryReader(configOf(login))
    try {
      await reader.connect()
      const range = { fromMs: FRIDAY, toMs: FRIDAY + 60_000, limit: 10 }
      await until('the trade', async () => (await reader.trades('AAPL', range))[0])
      await until('the bar', async () => (await reader.bars('AAPL', '1m', range))[0])
    } finally {
      await sink.close()
      await reader.close()
      await admin.deleteGroup(groupId).catch(() => undefined)
      await admin.deleteTopics(Object.values(names))
      await client.close()
    }
  })
})

describe.concurrent(
  'the migrations that Cassandra refuses end with code 1 and one line that names the settings',
  () => {
    async function refusedWith(env: Record<string, string>): Promise<string> {
      const { code, stderr, output } = await runMain(MIGRATE, { LOG_LEVEL: 'silent', ...login, ...env })
      expect({ code, stderr }).toMatchObject({ code: 1 })
      expect(stderr).toMatch(/^migrate: Cassandra at [^\n]*\n$/)
      expect(output).not.toContain(PASSWORD)
      expect(output).not.toContain('not-my-password')
      return stderr
    }

    it('for a wrong password, and for none', async () => {
      const looks = /; look at CASSANDRA_USERNAME, CASSANDRA_PASSWORD$/m
      expect(await refusedWith({ CASSANDRA_PASSWORD: 'not-my-password' })).toMatch(looks)
      expect(await refusedWith({ CASSANDRA_USERNAME: '' })).toMatch(looks)
    })

    it('for an authority that is not trusted', async () => {
      const other = new TestAuthority(dir, 'somebody else')
      for (const file of [other.caFile, '']) {
        expect(await refusedWith({ CASSANDRA_SSL_CA_FILE: file })).toMatch(
          /; look at CASSANDRA_SSL, CASSANDRA_SSL_CA_FILE/,
        )
      }
    })

    it('for a certificate that is missing, or of somebody else', async () => {
      const { certFile, keyFile } = new TestAuthority(dir, 'somebody else').issue('stranger')
      const looks = /certificate|alert.*; look at CASSANDRA_SSL, CASSANDRA_SSL_CA_FILE, CASSANDRA_SSL_CERT_FILE$/m
      expect(await refusedWith({ CASSANDRA_SSL_CERT_FILE: '', CASSANDRA_SSL_KEY_FILE: '' })).toMatch(looks)
      const stranger = { CASSANDRA_SSL_CERT_FILE: certFile, CASSANDRA_SSL_KEY_FILE: keyFile }
      expect(await refusedWith(stranger)).toMatch(looks)
    })

    it('for plain text against a port that speaks TLS, and TLS against one that does not', async () => {
      const files = { CASSANDRA_SSL_CA_FILE: '', CASSANDRA_SSL_CERT_FILE: '', CASSANDRA_SSL_KEY_FILE: '' }
      expect(await refusedWith({ CASSANDRA_SSL: 'false', ...files })).toMatch(/CASSANDRA_SSL/)
      const { host, port } = inject('cassandra')
      expect(await refusedWith({ CASSANDRA_CONTACT_POINTS: `${host}:${port}` })).toMatch(/CASSANDRA_SSL/)
    })
  },
)
