import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KafkaClient } from './client.js'
import type { KafkaConfig, SaslOptions } from './config.js'
import { KafkaError } from './errors.js'
import { requestQueueClass, type RequestQueue } from './kafkajs-private.js'
import { initProducerId } from './protocol/transactions.js'
import { ScriptedBroker, type Manner } from './testing/scripted-broker.js'

let broker: ScriptedBroker
let lines: { level: string; message: string; fields: string }[]
let onLine: (message: string) => void
const clients: KafkaClient[] = []

beforeEach(() => {
  broker = new ScriptedBroker()
  lines = []
  onLine = () => undefined
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await broker.close()
})

async function connected(options: Partial<KafkaConfig> = {}): Promise<KafkaClient> {
  return connectedTo([await broker.start()], options)
}

async function connectedTo(brokers: string[], options: Partial<KafkaConfig> = {}): Promise<KafkaClient> {
  const to = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: JSON.stringify(fields) })
    onLine(message)
  }
  const log = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const client = new KafkaClient({ brokers, clientId: 'test', ...options }, log)
  clients.push(client)
  await client.connect()
  return client
}

async function ask(client: KafkaClient): Promise<bigint> {
  return (await client.send(await client.anyBroker(), initProducerId(null, 1000))).producerId
}

const saidAloud = () =>
  lines.filter(({ level }) => level !== 'debug').map(({ level, message }) => `${level}: ${message}`)

describe('a connection that breaks', () => {
  it('in the middle of an answer does not spoil the next one', async () => {
    const client = await connected()
    broker.manner = () => 'cut'
    await expect(ask(client)).rejects.toMatchObject({ name: 'CONNECTION', kind: 'retriable', outcomeUnknown: true })
    broker.manner = () => 'answer'
    expect(await ask(client)).toBe(1n)
    expect(await ask(client)).toBe(2n)
  })

  it('is opened once, however many ask at the same time', async () => {
    const client = await connected()
    const before = broker.connections
    // Fetches have a connection of their own, which is not open yet.
    const fetchLike = { ...initProducerId(null, 1000), apiKey: 1, name: 'Fetch' }
    const target = await client.anyBroker()
    await Promise.all(Array.from({ length: 20 }, () => client.send(target, fetchLike)))
    expect(broker.connections - before).toBe(1)
  })

  it('is one line in the log when it breaks and one when it is back, whatever KafkaJS says meanwhile', async () => {
    const client = await connected()
    const port = Number(client.config.brokers[0]!.split(':')[1])
    await broker.close()
    for (let i = 0; i < 3; i++) await expect(ask(client)).rejects.toMatchObject({ name: 'CONNECTION' })
    broker = new ScriptedBroker()
    await broker.start(port)
    await vi.waitFor(() => ask(client))
    await ask(client)
    expect(saidAloud()).toEqual(['warn: Kafka broker lost', 'info: Kafka broker is back'])
  })
})

describe('a broker that is down', () => {
  it('is found out by all who ask within moments, and none of them spoils another’s attempt', async () => {
    const client = await connected({ connectionTimeoutMs: 30_000 })
    const port = Number(client.config.brokers[0]!.split(':')[1])
    await broker.close()
    await expect(ask(client)).rejects.toThrow()
    const askOften = async () => {
      for (let i = 0; i < 10; i++) await expect(ask(client)).rejects.toMatchObject({ name: 'CONNECTION' })
    }
    const askLeader = async () => {
      for (let i = 0; i < 10; i++) await expect(client.brokerWithId(0)).rejects.toMatchObject({ name: 'CONNECTION' })
    }
    await Promise.all([askOften(), askOften(), askLeader(), askLeader(), askLeader()])
    broker = new ScriptedBroker()
    await broker.start(port)
    const first = await Promise.all(Array.from({ length: 10 }, () => client.brokerWithId(0)))
    expect(new Set(first).size).toBe(1)
    expect(broker.connections).toBe(1)
  })

  it('does not hold up whoever is connecting when the connection is given up', async () => {
    const client = await connected({ connectionTimeoutMs: 30_000 })
    const { connectionPool } = await client.anyBroker()
    const fetching = connectionPool.pool[1]!
    const connecting = expect(fetching.connect()).rejects.toThrow(/Connection error/)
    while (fetching.socket === undefined) await Promise.resolve()
    await Promise.all([fetching.disconnect(), connecting])
    await fetching.connect()
    expect(fetching.isConnected()).toBe(true)
  })
})

describe('a broker that does not answer', () => {
  it('loses its connection after the request timeout, and the next request gets a new one', async () => {
    const client = await connected({ requestTimeoutMs: 200 })
    broker.manner = () => 'silence'
    const before = broker.connections
    const waiting = ask(client)
    await expect(waiting).rejects.toMatchObject({ name: 'REQUEST_TIMED_OUT', outcomeUnknown: true })
    broker.manner = () => 'answer'
    expect(await ask(client)).toBe(1n)
    expect(broker.connections - before).toBe(1)
    await vi.waitFor(() => expect(broker.sockets.size).toBe(1))
  })

  it('and is given up sooner fails what waits for it at once, and is asked over new connections', async () => {
    const client = await connected()
    await client.coordinatorOf('group', 'g')
    for (const socket of broker.sockets) broker.silenced.add(socket)
    const [hanging, before] = [ask(client), broker.connections]
    await vi.waitFor(() => expect(broker.unheard).toBe(1))
    client.dropConnections('too long')
    await expect(hanging).rejects.toMatchObject({ name: 'CONNECTION', kind: 'retriable', outcomeUnknown: true })
    await client.coordinatorOf('group', 'g')
    expect(await ask(client)).toBe(0n)
    expect(broker.connections - before).toBe(1)
    await vi.waitFor(() => expect(broker.sockets.size).toBe(1))
  })

  it('does not keep close() waiting; what was asked is rejected', async () => {
    const client = await connected()
    broker.manner = () => 'silence'
    const asked = expect(ask(client)).rejects.toMatchObject({ name: 'CLOSED', outcomeUnknown: true })
    await vi.waitFor(() => expect(broker.asked).toBe(1))
    await client.close()
    await asked
    await expect(ask(client)).rejects.toMatchObject({ name: 'CLOSED' })
    await vi.waitFor(() => expect(broker.sockets.size).toBe(0))
  })
})

it('a broker that takes connections and hangs counts as away, and is connected to when it answers again', async () => {
  broker.hangs = true
  const connecting = connected({ requestTimeoutMs: 200 })
  await expect(connecting).rejects.toMatchObject({ name: 'CONNECTION', kind: 'retriable' })
  broker.hangs = false
  const [client] = clients
  await client!.connect()
  expect(await ask(client!)).toBe(0n)
})

it('a request whose time is up when it could leave is not sent, and the connection is as good as before', async () => {
  const client = await connected()
  const before = broker.connections
  const request = initProducerId(null, 1000)
  const encode = () => {
    throw KafkaError.notSent('too late')
  }
  const late = client.send(await client.anyBroker(), { ...request, encode })
  await expect(late).rejects.toMatchObject({ name: 'NOT_SENT', kind: 'retriable', outcomeUnknown: false })
  expect(await ask(client), 'the first that came').toBe(0n)
  expect(broker.connections).toBe(before)
  expect(saidAloud()).toEqual([])
})

it('close() ends a search for a broker that answers: the next one on the list is not connected to', async () => {
  const away = new ScriptedBroker()
  const addresses = [await away.start(), await broker.start()]
  await away.close()
  onLine = (message) => {
    if (message.includes('trying another broker')) void clients[0]!.close()
  }
  await expect(connectedTo(addresses)).rejects.toMatchObject({ name: 'CLOSED' })
  expect(broker.connections).toBe(0)
})

it('a request the broker does not offer fails with the versions in question', async () => {
  const client = await connected()
  const request = { ...initProducerId(null, 1000), version: 9 }
  await expect(client.send(await client.anyBroker(), request)).rejects.toThrow(
    /UNSUPPORTED_VERSION.*InitProducerId v9 needed, broker offers 0 to 4/,
  )
})

it('a cluster that nobody answers for is an error that names the brokers', async () => {
  const address = await broker.start()
  await broker.close()
  const client = new KafkaClient(
    { brokers: [address], clientId: 'test' },
    { debug() {}, info() {}, warn() {}, error() {} },
  )
  await expect(client.connect()).rejects.toThrow(new RegExp(`CONNECTION .*${address}`))
  await client.close()
  broker = new ScriptedBroker()
  await broker.start()
})

describe('a login', () => {
  const sasl = (mechanism: SaslOptions['mechanism'] = 'plain') => ({ mechanism, username: 'user', password: 'secret' })

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'by %s that the broker goes away from is a lost connection, no refusal',
    async (mechanism) => {
      broker.login = () => 'cut'
      await expect(connected({ sasl: sasl(mechanism) })).rejects.toMatchObject({
        name: 'CONNECTION',
        kind: 'retriable',
      })
      expect(lines.filter(({ level }) => level === 'error')).toEqual([])
    },
  )

  it('that broke off is begun anew on another connection, and then all goes on', async () => {
    const manners: Manner[] = ['silence', 'cut']
    broker.login = () => manners.shift() ?? 'answer'
    const connecting = connected({ sasl: sasl(), requestTimeoutMs: 200 })
    await expect(connecting).rejects.toMatchObject({ name: 'CONNECTION', kind: 'retriable' })
    const [client] = clients
    await client!.connect()
    expect(await ask(client!)).toBe(0n)
  })

  it('that the broker does not answer in time is no refusal', async () => {
    broker.login = () => 'silence'
    const connecting = connected({ sasl: sasl(), requestTimeoutMs: 200 })
    await expect(connecting).rejects.toMatchObject({ name: 'REQUEST_TIMED_OUT', kind: 'retriable' })
  })

  it('that the broker refuses is fatal, with what it says', async () => {
    broker.login = () => 'refuse'
    const refused = connected({ sasl: sasl() })
    await expect(refused).rejects.toMatchObject({ name: 'SASL_AUTHENTICATION_FAILED', kind: 'fatal' })
    await expect(refused).rejects.toThrow(/wrong password/)
  })
})

it('the password appears in no log line and no error', async () => {
  const password = 'hunter2-and-a-half'
  const failed = await connected({ sasl: { mechanism: 'plain', username: 'user', password } }).catch(
    (error: Error) => error,
  )
  expect(failed).toBeInstanceOf(Error)
  expect(JSON.stringify([lines, failed, String(failed), (failed as Error).stack])).not.toContain(password)
})

it('KafkaJS’s timer for waiting requests rests while none waits', () => {
  const queue = { pending: [], throttledUntil: -1, throttleCheckTimeoutId: null } as unknown as RequestQueue
  requestQueueClass.prototype.scheduleCheckPendingRequests.call(queue)
  expect(queue).toMatchObject({ throttleCheckTimeoutId: null })
})
