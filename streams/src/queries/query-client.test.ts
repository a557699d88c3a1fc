import { afterEach, describe, expect, test, vi } from 'vitest'
import type { KafkaLog } from '../kafka/config.js'
import type { AssignmentMap } from '../membership/group-metadata.js'
import type { GroupReading } from '../membership/routing.js'
import { utf8 } from '../serde.js'
import { keyValueStore } from '../topology/stores.js'
import { TARGET_HEADER } from './protocol.js'
import { QueryClient, type QueryClientOptions } from './query-client.js'
import { answers, fails, FakeInstance, frozen, mapOf, sourceOf, type Behaviour } from './testing/fake-instances.js'

const instances: FakeInstance[] = []
const clients: QueryClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await Promise.all(instances.splice(0).map((instance) => instance.die().catch(() => undefined)))
})

async function instance(name: string, behave: Behaviour): Promise<FakeInstance> {
  const one = await new FakeInstance(name, behave).listen()
  instances.push(one)
  return one
}

const standby = (name: string, staleMs = 40) => sourceOf(name, { role: 'standby', staleMs })
const logged: string[] = []
const write = (_: object, message: string) => void logged.push(message)
const log: KafkaLog = { debug: write, info: write, warn: write, error: write }
afterEach(() => void logged.splice(0))

/** What the coordinator says, read after read; the last one again and again. */
class Group {
  reads = 0
  constructor(public readings: (GroupReading | AssignmentMap)[]) {}
  read = async (): Promise<GroupReading> => {
    const reading = this.readings[Math.min(this.reads++, this.readings.length - 1)]!
    return 'kind' in reading ? reading : { kind: 'map', map: reading }
  }
}

async function clientOf(group: Group | AssignmentMap, options: Partial<QueryClientOptions> = {}): Promise<QueryClient> {
  const { read } = group instanceof Group ? group : new Group([group])
  const client = new QueryClient({
    applicationId: 'app',
    read,
    queries: { sum: 'sums' },
    refreshEveryMs: 60_000,
    hedgeAfterMs: 50,
    timeoutMs: 1_000,
    log,
    ...options,
  })
  clients.push(client)
  await client.start()
  return client
}

const elapsed = async <T>(work: Promise<T>): Promise<{ outcome: T; ms: number }> => {
  const startedAtMs = performance.now()
  return { outcome: await work, ms: performance.now() - startedAtMs }
}

describe('a query about a key', () => {
  test('goes to the active instance alone while that answers', async () => {
    const [a, b] = [await instance('a', answers(7, sourceOf('a'))), await instance('b', answers(6, standby('b')))]
    const client = await clientOf(mapOf([a, b]))
    const outcome = await client.query('sum', 'x y', { params: { of: 'all' }, maxStaleMs: 20.5, isolation: 'latest' })
    expect(outcome).toEqual({ kind: 'ok', result: 7, source: sourceOf('a') })
    expect(a.asked).toEqual(['/queries/sum?of=all&key=x+y&maxStaleMs=20&isolation=latest'])
    expect(b.asked).toEqual([])
  })

  test('uses its connections again', async () => {
    const a = await instance('a', answers(7, sourceOf('a')))
    const client = await clientOf(mapOf([a]))
    for (let n = 0; n < 5; n++) await client.query('sum', 'x')
    expect(a.connections.size).toBe(1)
  })

  test('is answered by the standby soon after the active one is silent, and the active one is not waited for', async () => {
    const [a, b] = [await instance('a', frozen), await instance('b', answers(6, standby('b')))]
    const client = await clientOf(mapOf([a, b]))
    const { outcome, ms } = await elapsed(client.query('sum', 'x'))
    expect(outcome).toEqual({ kind: 'ok', result: 6, source: standby('b') })
    expect(ms).toBeGreaterThan(40)
    expect(ms).toBeLessThan(500)
    await vi.waitFor(() => expect(a.aborted).toBe(1))
  })

  test('is put to both at once for a while after that, until the silent one answers again', async () => {
    const [a, b] = [await instance('a', frozen), await instance('b', answers(6, standby('b')))]
    const client = await clientOf(mapOf([a, b]), { hedgeAfterMs: 600 })
    expect((await elapsed(client.query('sum', 'x'))).ms).toBeGreaterThan(550)
    expect((await elapsed(client.query('sum', 'x'))).ms).toBeLessThan(550)
    // Not so fast that it is through before another could be asked.
    a.behave = (...request) => void setTimeout(() => answers(7, sourceOf('a'))(...request), 30)
    b.behave = frozen
    expect(await client.query('sum', 'x')).toMatchObject({ result: 7 })
    expect(await client.query('sum', 'y')).toMatchObject({ result: 7 })
    expect(b.asked).not.toContain('/queries/sum?key=y')
  })

  test.each<[string, (a: FakeInstance) => unknown]>([
    ['is dead', (a) => a.die()],
    ['says that it has not got the task', (a) => (a.behave = fails({ code: 'NOT_MINE', message: '', generation: 5 }))],
    ['is not in the group yet', (a) => (a.behave = fails({ code: 'NOT_READY', message: '' }))],
    ['answers nonsense', (a) => (a.behave = (_, response) => response.end('<html>'))],
    ['breaks', (a) => (a.behave = (_, response) => response.writeHead(500).end('{"statusCode":500}'))],
    ['does not say who it is', (a) => (a.behave = (_, response) => response.end('{"result":1}'))],
    ['is of an older generation', (a) => (a.behave = answers(7, sourceOf('a', { generation: 4 })))],
  ])('goes to the standby at once when the active one %s', async (_, act) => {
    const [a, b] = [await instance('a', frozen), await instance('b', answers(6, standby('b')))]
    const client = await clientOf(mapOf([a, b]), { hedgeAfterMs: 5_000 })
    await act(a)
    expect(await client.query('sum', 'x')).toMatchObject({ kind: 'ok', result: 6 })
  })

  test('takes the active answer when both are there', async () => {
    const waiting: (() => void)[] = []
    /** Both answers leave in the same moment, the standby's first. */
    const together = (result: number, source: ReturnType<typeof sourceOf>): Behaviour => {
      return (url, response, message) => {
        waiting.push(() => answers(result, source)(url, response, message))
        if (waiting.length === 2) for (const send of waiting.splice(0).reverse()) send()
      }
    }
    const [a, b] = [await instance('a', together(7, sourceOf('a'))), await instance('b', together(6, standby('b')))]
    const client = await clientOf(mapOf([a, b]), { hedgeAfterMs: 10 })
    for (let n = 0; n < 20; n++) expect(await client.query('sum', 'x')).toMatchObject({ result: 7 })
  })

  test('asks those that are still warming up last', async () => {
    const no = fails({ code: 'NOT_MINE', message: '', generation: 5 })
    const [a, b, c] = [await instance('a', no), await instance('b', no), await instance('c', answers(5, standby('c')))]
    const client = await clientOf(mapOf([a, b, c], { warmup: ['b'] }))
    expect(await client.query('sum', 'x')).toMatchObject({ result: 5 })
    expect(b.asked).toEqual([])
  })

  test('about an unknown key is not found, and says who says so', async () => {
    const a = await instance('a', fails({ code: 'NOT_FOUND', message: '', source: sourceOf('a') }))
    expect(await (await clientOf(mapOf([a]))).query('sum', 'x')).toEqual({ kind: 'not-found', source: sourceOf('a') })
  })

  test('that is wrong is told so, and nobody else is asked', async () => {
    const [a, b] = [
      await instance('a', fails({ code: 'BAD_REQUEST', message: 'of: all or none' })),
      await instance('b', answers(6, standby('b'))),
    ]
    const outcome = await (await clientOf(mapOf([a, b]))).query('sum', 'x')
    expect(outcome).toEqual({ kind: 'bad-request', message: 'of: all or none' })
    expect(b.asked).toEqual([])
  })

  test('of a store that the application has not got is wrong, of a query that the client does not know a mistake', async () => {
    const a = await instance('a', frozen)
    const client = await clientOf(mapOf([a]), { queries: { other: 'nothing' } })
    expect(await client.query('other', 'x')).toMatchObject({ kind: 'bad-request' })
    expect(() => client.query('sum', 'x')).toThrow("'sum'")
  })

  test('ends in time when everybody is silent', async () => {
    const [a, b] = [await instance('a', frozen), await instance('b', frozen)]
    const client = await clientOf(mapOf([a, b]), { timeoutMs: 300 })
    const { outcome, ms } = await elapsed(client.query('sum', 'x'))
    expect(outcome).toEqual({ kind: 'no-owner' })
    expect(ms).toBeLessThan(700)
  })

  test('ends at once when nobody runs the application', async () => {
    for (const reading of [{ kind: 'none' }, { kind: 'empty' }, { kind: 'between' }] as const) {
      const client = await clientOf(new Group([reading]), { timeoutMs: 20_000 })
      expect(await client.query('sum', 'x')).toEqual({ kind: 'no-owner' })
    }
  })

  test('ends when the client is closed', async () => {
    const client = await clientOf(mapOf([await instance('a', frozen)]), { timeoutMs: 20_000 })
    const asking = client.query('sum', 'x')
    client.close()
    expect(await asking).toEqual({ kind: 'no-owner' })
  })
})

describe('an answer that is too old', () => {
  test('is not taken: the outcome says how old the freshest is', async () => {
    const stale = (name: string, staleMs: number) =>
      fails({ code: 'TOO_STALE', message: '', source: standby(name, staleMs) })
    const [a, b, c] = [
      await instance('a', frozen),
      await instance('b', stale('b', 900)),
      await instance('c', stale('c', 600)),
    ]
    const client = await clientOf(mapOf([a, b, c]), { timeoutMs: 300 })
    const outcome = await client.query('sum', 'x', { maxStaleMs: 500 })
    expect(outcome).toEqual({ kind: 'too-stale', source: standby('c', 600) })
    expect(a.asked).toEqual(['/queries/sum?key=x&maxStaleMs=500'])
  })

  test('is still the reason when in the end nobody says anything', async () => {
    const stale = fails({ code: 'TOO_STALE', message: '', source: standby('b', 900) })
    const a = await instance('a', fails({ code: 'NOT_MINE', message: '' }))
    const b = await instance('b', (...request) => (b.asked.length === 1 ? stale : frozen)(...request))
    const client = await clientOf(mapOf([a, b]), { timeoutMs: 400 })
    expect(await client.query('sum', 'x', { maxStaleMs: 0 })).toMatchObject({ kind: 'too-stale' })
    expect(b.asked.length).toBeGreaterThan(1)
  })

  test('is waited out within the time there is', async () => {
    const a = await instance('a', (url, response, message) => {
      const first = fails({ code: 'TOO_STALE', message: '', source: standby('a', 900) })
      const behave = a.asked.length < 3 ? first : answers(7, sourceOf('a'))
      behave(url, response, message)
    })
    const client = await clientOf(mapOf([a]))
    expect(await client.query('sum', 'x', { maxStaleMs: 0 })).toMatchObject({ kind: 'ok', result: 7 })
  })
})

describe('a wrong token', () => {
  test('is an outcome of its own and one line in the log', async () => {
    const a = await instance('a', fails({ code: 'UNAUTHORIZED', message: '' }))
    const client = await clientOf(mapOf([a]), { token: 'wrong' })
    for (let n = 0; n < 3; n++) expect(await client.query('sum', 'x')).toEqual({ kind: 'unauthorized' })
    expect(await client.queryAll('sum')).toEqual({
      results: [],
      missingPartitions: [0],
      because: { kind: 'unauthorized' },
    })
    expect(logged.filter((line) => line.includes('token'))).toHaveLength(1)
  })

  test('is not sent when there is none, and sent when there is', async () => {
    const tokens: (string | undefined)[] = []
    const a = await instance('a', (url, response, message) => {
      tokens.push(message.headers.authorization)
      answers(7, sourceOf('a'))(url, response, message)
    })
    for (const token of ['', 'secret']) await (await clientOf(mapOf([a]), { token })).query('sum', 'x')
    expect(tokens).toEqual([undefined, 'Bearer secret'])
  })
})

describe('an address that has become somebody else’s', () => {
  test('is told who is meant', async () => {
    const targets: unknown[] = []
    const a = await instance('a', (url, response, message) => {
      targets.push(message.headers[TARGET_HEADER])
      answers(7, sourceOf('a'))(url, response, message)
    })
    await (await clientOf(mapOf([a]))).query('sum', 'x')
    expect(targets).toEqual(['app/a'])
  })

  test('is not believed, whatever it says of itself: the standby is, and so is the instance once it is back', async () => {
    const [a, b] = [
      await instance('a', answers('of a stranger', sourceOf('stranger', { generation: 900 }))),
      await instance('b', answers(6, standby('b'))),
    ]
    const client = await clientOf(mapOf([a, b]))
    expect(await client.query('sum', 'x')).toMatchObject({ kind: 'ok', result: 6 })
    a.behave = answers(7, sourceOf('a'))
    expect(await client.query('sum', 'x')).toMatchObject({ kind: 'ok', result: 7 })
  })
})

describe('the routing', () => {
  test('is read again when an instance has not got the task, once for all who ask', async () => {
    const a = await instance('a', fails({ code: 'NOT_MINE', message: '', generation: 6 }))
    const b = await instance('b', answers(6, sourceOf('b', { generation: 6 })))
    const group = new Group([mapOf([a]), mapOf([b], { generation: 6 })])
    const client = await clientOf(group)
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => client.query('sum', 'x')))
    for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'ok', result: 6 })
    expect(group.reads).toBeLessThanOrEqual(3)
  })

  test('is read again when an instance is gone, but not more often than it may be', async () => {
    const a = await instance('a', frozen)
    await a.die()
    const group = new Group([mapOf([a])])
    const client = await clientOf(group, { timeoutMs: 700 })
    await Promise.all(Array.from({ length: 20 }, () => client.query('sum', 'x')))
    expect(group.reads).toBeGreaterThan(2)
    expect(group.reads).toBeLessThan(7)
  })

  test('that changes ends the wait for who was silent', async () => {
    const a = await instance('a', frozen)
    const b = await instance('b', answers(6, sourceOf('b', { generation: 6 })))
    const client = await clientOf(new Group([mapOf([a]), mapOf([b], { generation: 6 })]), {
      refreshEveryMs: 100,
      timeoutMs: 5_000,
    })
    const { outcome, ms } = await elapsed(client.query('sum', 'x'))
    expect(outcome).toMatchObject({ kind: 'ok', result: 6 })
    expect(ms).toBeLessThan(2_000)
  })

  test('stays what it was while the group is between two assignments', async () => {
    const a = await instance('a', answers(7, sourceOf('a')))
    const group = new Group([mapOf([a]), { kind: 'between' }])
    const client = await clientOf(group, { refreshEveryMs: 20 })
    await vi.waitFor(() => expect(group.reads).toBeGreaterThan(2), { timeout: 5_000 })
    expect(await client.query('sum', 'x')).toMatchObject({ kind: 'ok', result: 7 })
  })

  test('a generation that was seen is never gone behind: who was expelled is not believed, though the table has it', async () => {
    // b tells of generation 6 before the table does.
    const a = await instance('a', fails({ code: 'NOT_MINE', message: '', generation: -1 }))
    const b = await instance('b', answers(6, { ...standby('b'), generation: 6 }))
    const client = await clientOf(mapOf([a, b]), { timeoutMs: 300 })
    expect(await client.query('sum', 'x')).toMatchObject({ result: 6 })
    a.behave = answers('of a zombie', sourceOf('a', { generation: 5 }))
    expect(await client.query('sum', 'x')).toMatchObject({ result: 6 })
    b.behave = frozen
    expect(await client.query('sum', 'x')).toEqual({ kind: 'no-owner' })
  })

  test('a Kafka that is away is no error: what was known stays known, and it is said once', async () => {
    const a = await instance('a', answers(7, sourceOf('a')))
    let isAway = false
    const group = new Group([mapOf([a])])
    const client = await clientOf(group, {
      refreshEveryMs: 20,
      read: () => (isAway ? Promise.reject(new Error('no broker')) : group.read()),
    })
    isAway = true
    await vi.waitFor(() => expect(logged).toHaveLength(1), { timeout: 5_000 })
    expect(await client.query('sum', 'x')).toMatchObject({ kind: 'ok', result: 7 })
    expect(logged).toHaveLength(1)
  })

  test('is told with who has what and who stands by', async () => {
    const [a, b] = [await instance('a', frozen), await instance('b', frozen)]
    const client = await clientOf(mapOf([a, b], { partitions: 2 }))
    expect(client.routing()).toMatchObject({
      applicationId: 'app',
      generation: 5,
      members: [
        { instance: 'a', tasks: ['0_0', '0_1'], standbys: [] },
        { instance: 'b', tasks: [], standbys: ['0_0', '0_1'] },
      ],
      tasks: [
        { task: '0_0', partition: 0, active: 'a', standbys: ['b'] },
        { task: '0_1', partition: 1, active: 'a', standbys: ['b'] },
      ],
    })
  })
})

describe('a query about all partitions', () => {
  test('asks each of them, and names those that nobody answers for', async () => {
    const byPartition: Behaviour = (url, response, message) => {
      const partition = url.searchParams.get('partition')
      const behave = partition === '1' ? fails({ code: 'NOT_MINE', message: '' }) : answers(partition, sourceOf('a'))
      behave(url, response, message)
    }
    const a = await instance('a', byPartition)
    const client = await clientOf(mapOf([a], { partitions: 3 }), { timeoutMs: 300 })
    expect(await client.queryAll('sum')).toEqual({
      results: [
        { result: '0', partition: 0, source: sourceOf('a') },
        { result: '2', partition: 2, source: sourceOf('a') },
      ],
      missingPartitions: [1],
      because: { kind: 'no-owner' },
    })
  })

  test('is not complete while not even the partitions are known', async () => {
    const client = await clientOf(new Group([{ kind: 'none' }]))
    expect(await client.queryAll('sum')).toEqual({ results: [], missingPartitions: [], because: { kind: 'no-owner' } })
  })
})

test('a store is read over the network as a view reads it', async () => {
  const text = (value: string) => Buffer.from(value).toString('base64url')
  const a = await instance('a', (url, response, message) => {
    const pages: Record<string, unknown> = {
      '0': { entries: [['a', '1'], ['c', '3']].map((pair) => pair.map(text)), more: true }, // prettier-ignore
      '1': { entries: [['b', '2'], ['d', '4']].map((pair) => pair.map(text)), more: false }, // prettier-ignore
    }
    const result = url.pathname.endsWith('/get')
      ? text('7')
      : url.pathname.endsWith('/window')
        ? { windows: [{ startMs: 60_000, closed: true, revision: 2, value: text('9') }], more: false }
        : pages[url.searchParams.get('partition')!]
    answers(result, sourceOf('a'))(url, response, message)
  })
  const client = await clientOf(mapOf([a], { partitions: 2 }))
  const sums = client.keyValue(keyValueStore('sums', { key: utf8, value: utf8 }))
  expect(await sums.get('ä')).toEqual({ kind: 'ok', value: '7', source: sourceOf('a') })
  expect(a.asked).toEqual([`/stores/sums/get?key=${text('ä')}`])
  expect(await sums.range({ prefix: '', limit: 10 })).toEqual({
    kind: 'ok',
    // Nothing is known of partition 0 behind c: d may not be the next one.
    entries: [['a', '1'], ['b', '2'], ['c', '3']], // prettier-ignore
    next: 'c',
    missingPartitions: [],
    sources: [sourceOf('a'), sourceOf('a')],
  })
  a.behave = fails({ code: 'NOT_FOUND', message: '', source: sourceOf('a') })
  expect(await sums.get('x')).toEqual({ kind: 'ok', value: undefined, source: sourceOf('a') })
  await expect(sums.range({ limit: 0 })).rejects.toThrow(RangeError)
})
