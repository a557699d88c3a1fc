import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HistoryReader } from '@candlewick/cassandra/reader'
import { startSinkWorker } from '@candlewick/cassandra/sink-thread'
import { migratedKeyspace } from '@candlewick/cassandra/testing/keyspace'
import { FRIDAY, trade } from '@candlewick/cassandra/testing/samples'
import { startKafka, type KafkaServer } from '@candlewick/dev/local/kafka-server'
import { freePort } from '@candlewick/dev/local/ports'
import { TestAuthority } from '@candlewick/dev/testing/authority'
import { prepareCodecs, tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames, topicSpecs } from '@candlewick/schemas/topics'
import { kafkaConfig, KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { createLogger } from '@candlewick/service/logger'
import { readSettings } from '@candlewick/service/settings'
import { KafkaStreams, keyValueStore, StreamsBuilder, utf8, type Serde } from '@candlewick/streams'
import { runCli } from '@candlewick/streams/cli/run'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { GroupAdmin } from '@candlewick/streams/kafka/group-admin'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'
import { KeptLog } from '@candlewick/streams/kafka/testing/test-cluster'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { runMain } from './secure-settings.js'
import { until } from './wait.js'

/** A login is good for so long on one connection: every test here lives through several. */
const MAX_REAUTH_MS = 3_000
const PASSWORD = `never-to-be-seen-${randomBytes(6).toString('hex')}`

let dir: string
let authority: TestAuthority
let kafka: KafkaServer
/** Settings that let one in. */
let login: Record<string, string>

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'candlewick-secure-kafka-'))
  authority = new TestAuthority(dir)
  const { storeFile } = authority.issue('broker')
  const users = { candlewick: PASSWORD }
  const security = { storeFile, caFile: authority.caFile, users, maxReauthMs: MAX_REAUTH_MS }
  kafka = await startKafka({ dir: join(dir, 'kafka'), heapMb: 384, security })
  login = {
    KAFKA_BROKERS: kafka.secure!.login,
    KAFKA_SSL: 'true',
    KAFKA_SSL_CA_FILE: authority.caFile,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'candlewick',
    KAFKA_SASL_PASSWORD: PASSWORD,
  }
})
afterAll(async () => {
  await kafka?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const configOf = (env: Record<string, string>) => kafkaConfig(readSettings(KAFKA_SETTINGS, env), 'secure-test')

async function withClient<T>(env: Record<string, string>, use: (client: KafkaClient) => Promise<T>) {
  const client = new KafkaClient(configOf(env), new KeptLog())
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.close()
  }
}

async function newTopic(client: KafkaClient, partitions: number): Promise<string> {
  const name = `secure-${randomBytes(4).toString('hex')}`
  await new KafkaAdmin(client).createTopics([{ name, partitions }])
  return name
}

/** Values of a topic as they come, until there are enough. */
async function readAll(client: KafkaClient, topic: string, isEnough: (values: string[]) => boolean): Promise<string[]> {
  const values: string[] = []
  const reader = new TopicReader(client, {
    topics: [topic],
    startAt: 'earliest',
    isolation: 'read_committed',
    onChunk: (chunk) =>
      void visitRecords(chunk, 'read_committed', (_offset, _time, bytes, _keyStart, _keyEnd, start, end) => {
        values.push(bytes.toString('utf8', start, end))
      }),
    log: new KeptLog(),
  })
  await reader.start()
  await until(`records in ${topic}`, async () => isEnough(values) || undefined)
  await reader.close()
  return values
}

describe.concurrent('Kafka with TLS and logins, by settings alone', () => {
  it.each(['scram-sha-512', 'plain'])(
    'makes topics, takes records and gives them back after a login with %s',
    (mechanism) =>
      withClient({ ...login, KAFKA_SASL_MECHANISM: mechanism }, async (client) => {
        const topic = await newTopic(client, 3)
        const producer = new IdempotentProducer(client, { maxBufferedBytes: 1 << 20 })
        await client.watchTopics([topic])
        await producer.start()
        for (let i = 0; i < 100; i++)
          producer.send(topic, null, Buffer.from(`key ${i}`), Buffer.from(`${i}`), Date.now())
        await producer.close()
        const values = await readAll(client, topic, ({ length }) => length >= 100)
        expect(values.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
      }),
  )

  it('lets the streams command in with what its config file says, and tells a refused login in a sentence', () =>
    withClient(login, async (client) => {
      const topic = await newTopic(client, 1)
      const groupId = `secure-${randomBytes(4).toString('hex')}`
      await new GroupAdmin(client).commitOffsets(groupId, [{ topic, partition: 0, offset: 0, metadata: '' }])
      const told = { out: '', err: '' }
      const describeWith = (password: string) => {
        const { brokers, ssl, sasl } = configOf(login)
        const file = join(dir, `${groupId}.json`)
        writeFileSync(file, JSON.stringify({ brokers, ssl, sasl: { ...sasl, password } }))
        return runCli(['describe', '--application-id', groupId, '--config', file], {
          out: (line) => (told.out += line),
          err: (line) => (told.err += line),
        })
      }
      expect(await describeWith(PASSWORD)).toBe(0)
      expect(told.out).toContain(`${topic}-0`)
      expect(await describeWith(`${PASSWORD}-wrong`)).toBe(1)
      expect(told.err).toMatch(/^the login was refused: check sasl in --config/)
      expect(told.out + told.err).not.toContain(PASSWORD)
    }))

  it('logs in again on the same connection before the login ends, also with many requests at once', () =>
    withClient(login, async (client) => {
      const admin = new KafkaAdmin(client)
      const topic = await newTopic(client, 3)
      await client.watchTopics([topic])
      const leader = await client.leaderOf(topic, 0)
      const logins = new Map<unknown, Set<string>>()
      const most = () => Math.max(0, ...[...logins.values()].map(({ size }) => size))
      while (most() < 3) {
        const asked = Array.from({ length: 20 }, () => admin.listOffsets(topic, [0, 1, 2], 'latest', 'read_committed'))
        await Promise.all(asked)
        // On a machine that is busy a login may end before the next request arrives: then the next socket has to show it.
        const { socket, authenticatedAt } = leader.connectionPool.pool[0]!
        logins.set(socket, (logins.get(socket) ?? new Set()).add(String(authenticatedAt)))
      }
      expect(logins.size).toBeLessThan(10)
    }))

  it('processes exactly once over TLS, through several logins on every connection', () =>
    withClient(login, async (client) => {
      const run = `secure-${randomBytes(4).toString('hex')}`
      const [input, output] = [`${run}-in`, `${run}-out`]
      await new KafkaAdmin(client).createTopics([
        { name: input, partitions: 2 },
        { name: output, partitions: 2 },
      ])
      const log = new KeptLog()
      const app = new KafkaStreams(sums(input, output), {
        applicationId: run,
        kafka: configOf(login),
        stateDir: join(dir, run),
        log,
      })
      const fatal: Error[] = []
      app.onFatal((error) => fatal.push(error))
      await app.start()
      await until('the application to run', async () => app.state === 'RUNNING' || undefined)

      const producer = new IdempotentProducer(client, { maxBufferedBytes: 1 << 20 })
      await client.watchTopics([input])
      await producer.start()
      const startedAtMs = performance.now()
      let sent = 0
      while (performance.now() - startedAtMs < 2 * MAX_REAUTH_MS) {
        producer.send(input, null, Buffer.from(`key ${sent % 10}`), Buffer.from('1'), Date.now())
        if (++sent % 10 === 0) await new Promise((done) => setTimeout(done, 5))
      }
      await producer.close()
      const perKey = Array.from({ length: 10 }, (_, key) => Math.floor((sent + 9 - key) / 10))
      const values = await readAll(client, output, (seen) => seen.filter((v) => Number(v) >= perKey[9]!).length >= 10)
      expect(values.map(Number).filter((value) => value > perKey[0]!)).toEqual([])
      expect(fatal).toEqual([])
      await app.close()
    }))

  it('fills Cassandra from a sink in its thread', async () => {
    const target = await migratedKeyspace(inject('cassandra'))
    const topicPrefix = `secure-${randomBytes(4).toString('hex')}-`
    const names = topicNames(topicPrefix)
    await prepareCodecs()
    await withClient(login, async (client) => {
      await new KafkaAdmin(client).createTopics(
        topicSpecs({ partitions: 2, replicationFactor: 1, prefix: topicPrefix }),
      )
      await client.watchTopics([names.trades])
      const producer = new IdempotentProducer(client, { maxBufferedBytes: 1 << 20 })
      await producer.start()
      for (let i = 0; i < 50; i++) {
        producer.send(names.trades, null, Buffer.from('AAPL'), tradeCodec.encode(trade()), Date.now())
      }
      await producer.close()
    })
    const config = { kafka: configOf(login), cassandra: target.config, groupId: `${topicPrefix}sink`, topicPrefix }
    const sink = startSinkWorker(config, createLogger('test', 'silent'))
    const reader = new HistoryReader(target.config)
    try {
      await reader.connect()
      const range = { fromMs: FRIDAY, toMs: FRIDAY, limit: 1_000 }
      await until('50 rows', async () => (await reader.trades('AAPL', range)).length === 50 || undefined)
    } finally {
      await sink.close()
      await reader.close()
      await target.drop()
    }
  })

  it('shows the broker a certificate of its own where that is asked for', async () => {
    const { certFile, keyFile } = authority.issue('client')
    const tls = { KAFKA_BROKERS: kafka.secure!.certificate, KAFKA_SSL: 'true', KAFKA_SSL_CA_FILE: authority.caFile }
    const shown = { ...tls, KAFKA_SSL_CERT_FILE: certFile, KAFKA_SSL_KEY_FILE: keyFile }
    expect(await withClient(shown, (client) => newTopic(client, 1))).toMatch(/^secure-/)

    const refused = await runMain('processor/dist/create-topics-main.js', tls)
    expect(refused).toMatchObject({ code: 1 })
    expect(refused.stderr).toMatch(/^create-topics: .*TLS_FAILED.*bad certificate; look at .*KAFKA_SSL_CERT_FILE\n$/)
  })
})

describe.concurrent('a process that Kafka refuses ends with code 1 and one line that names the settings', () => {
  const CREATE_TOPICS = 'processor/dist/create-topics-main.js'

  async function refusedWith(env: Record<string, string>, main = CREATE_TOPICS): Promise<string> {
    const { code, stderr, output } = await runMain(main, { LOG_LEVEL: 'silent', ...login, ...env })
    expect({ code, stderr }).toMatchObject({ code: 1 })
    expect(stderr).toMatch(/^[a-z-]+: [^\n]*\n$/)
    expect(output).not.toContain(PASSWORD)
    expect(output).not.toContain('not-my-password')
    return stderr
  }

  it('for a wrong password', async () => {
    const stderr = await refusedWith({ KAFKA_SASL_PASSWORD: 'not-my-password' })
    expect(stderr).toMatch(/SASL_AUTHENTICATION_FAILED.*; look at KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD$/m)
  })

  it('for a login the broker does not offer', async () => {
    expect(await refusedWith({ KAFKA_SASL_MECHANISM: 'scram-sha-256' })).toMatch(/; look at KAFKA_SASL_MECHANISM$/m)
  })

  it('for a login where none is asked for', async () => {
    const { certFile, keyFile } = authority.issue('another-client')
    const certificate = { KAFKA_SSL_CERT_FILE: certFile, KAFKA_SSL_KEY_FILE: keyFile }
    const stderr = await refusedWith({ KAFKA_BROKERS: kafka.secure!.certificate, ...certificate })
    expect(stderr).toMatch(/; look at KAFKA_SASL_MECHANISM, KAFKA_BROKERS/)
  })

  it('for an authority that is not trusted', async () => {
    const other = new TestAuthority(dir, 'somebody else')
    expect(await refusedWith({ KAFKA_SSL_CA_FILE: other.caFile })).toMatch(
      /TLS_FAILED.*; look at KAFKA_SSL, KAFKA_SSL_CA_FILE/,
    )
    expect(await refusedWith({ KAFKA_SSL_CA_FILE: '' })).toMatch(/TLS_FAILED.*; look at KAFKA_SSL, KAFKA_SSL_CA_FILE/)
  })

  it('for plain text against a port that speaks TLS', async () => {
    const stderr = await refusedWith({ KAFKA_SSL: 'false', KAFKA_SSL_CA_FILE: '' })
    expect(stderr).toMatch(/TLS_FAILED .*the broker speaks TLS on this port.*; look at KAFKA_SSL,/)
  })

  it('for TLS against a port that does not, and for no login where one is asked for', async () => {
    expect(await refusedWith({ KAFKA_BROKERS: kafka.brokers })).toMatch(/KAFKA_SSL and KAFKA_SASL_MECHANISM do not fit/)
    const none = { KAFKA_SASL_MECHANISM: '', KAFKA_SASL_USERNAME: '', KAFKA_SASL_PASSWORD: '' }
    expect(await refusedWith(none)).toMatch(/KAFKA_SSL and KAFKA_SASL_MECHANISM do not fit/)
  })

  it('whichever process it is', async () => {
    const env = {
      KAFKA_SASL_PASSWORD: 'not-my-password',
      CASSANDRA_CONTACT_POINTS: `${inject('cassandra').host}:${inject('cassandra').port}`,
      PROCESSOR_PORT: String(await freePort()),
      PRODUCER_PORT: String(await freePort()),
      API_PORT: String(await freePort()),
      STATE_DIR: join(dir, 'state'),
      SINK: 'off',
      FINNHUB_API_KEY: 'none',
      FINNHUB_URL: 'ws://127.0.0.1:1',
    }
    const mains = [
      'processor/dist/main.js',
      'producer/dist/main.js',
      'query-api/dist/main.js',
      'cassandra/dist/sink-main.js',
    ]
    const told = await Promise.all(mains.map((main) => refusedWith(env, main)))
    for (const stderr of told) expect(stderr).toMatch(/SASL_AUTHENTICATION_FAILED.*KAFKA_SASL_PASSWORD/)
  })
})

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}

/** A running sum per key. */
function sums(input: string, output: string) {
  const builder = new StreamsBuilder()
  builder
    .stream(input, { key: utf8, value: number })
    .groupByKey()
    .aggregate(
      keyValueStore('sums', { key: utf8, value: number }),
      () => 0,
      (sum, value) => sum + value,
    )
    .toStream()
    .to(output, { key: utf8, value: number })
  return builder.build()
}
