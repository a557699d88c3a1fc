import { fastify, type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { partitionFor } from '../kafka/partitioner.js'
import { utf8, type Serde } from '../serde.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import type { Topology } from '../topology/topology.js'
import { tumbling } from '../topology/windows.js'
import { TARGET_HEADER, type QuerySource } from './protocol.js'
import { queryRoutes, type Query, type QueryableStreams } from './query-server.js'
import { startQueryServer } from './start-query-server.js'
import { MAX_LIMIT } from './store-reads.js'
import type { Isolation } from './task-reads.js'

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}
/** Keys that are no text: four bytes. */
const word: Serde<number> = {
  encode: (value) => Buffer.from(Uint32Array.of(value).buffer).swap32(),
  decode: (bytes, start) => bytes.readUInt32BE(start),
}

const sums = keyValueStore('sums', { key: utf8, value: number })
const words = keyValueStore('words', { key: word, value: number })
const minutes = windowStore('minutes', { key: utf8, value: number, retentionMs: 3_600_000 })

/** Two inputs that have nothing to do with each other: two sub-topologies, with 4 and 2 partitions. */
const PARTITIONS: Readonly<Record<string, number>> = { letters: 4, numbers: 2 }
const SUM = (sum: number, value: number) => sum + value

function topology() {
  const builder = new StreamsBuilder()
  const letters = builder.stream('letters', { key: utf8, value: number, timestamp: (value) => value })
  letters.groupByKey().aggregate(sums, () => 0, SUM)
  letters
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
    .aggregate(minutes, () => 0, SUM)
  builder
    .stream('numbers', { key: word, value: number })
    .groupByKey()
    .aggregate(words, () => 0, SUM)
  return builder.build()
}

/** An instance with the tasks of partitions 0 and 1 (of 4 and of 2), whose place in the group the test decides. */
class Instance implements QueryableStreams {
  readonly applicationId = 'app'
  readonly instanceId = 'a'
  readonly topology = topology()
  readonly driver = new TopologyTestDriver(this.topology, { partitions: 4 })
  readonly isolations: Isolation[] = []
  held = ['0_0', '0_1', '1_0', '1_1']
  counts = PARTITIONS
  standing: Pick<QuerySource, 'role' | 'staleMs'> = { role: 'active', staleMs: 0 }
  assignment = { generation: 7 } as QueryableStreams['assignment']

  partitionCount(topic: string): number {
    return this.counts[topic] ?? 0
  }

  served(isolation: Isolation = 'committed') {
    this.isolations.push(isolation)
    return this.held.map((task) => {
      const [subTopology, partition] = task.split('_').map(Number) as [number, number]
      const view = this.driver.view({ subTopology, partition }, isolation)
      return { view, source: () => ({ instance: 'a', ...this.standing, generation: 7 }) }
    })
  }

  async add(topic: string, key: Buffer, value: number): Promise<void> {
    const partition = partitionFor(key, PARTITIONS[topic]!)
    this.driver.pipe(topic, { key, value: number.encode(value), partition })
    await this.driver.commit()
  }
}

let instance: Instance
let app: FastifyInstance
let asked: number

const queries: Record<string, Query> = {
  sum: {
    store: sums,
    ask: (view, { key }) => {
      asked++
      return view.keyValue(sums).get(key!)
    },
  },
  keys: { store: sums, ask: async (view) => (await view.keyValue(sums).all()).map(([key]) => key) },
}

/** A key of the topic that lies in the partition. */
function keyIn(partition: number, prefix = 'key'): string {
  for (let n = 0; ; n++)
    if (partitionFor(Buffer.from(`${prefix}${n}`), PARTITIONS['letters']!) === partition) return `${prefix}${n}`
}

const text = (key: Buffer | string) => Buffer.from(key).toString('base64url')

async function get(url: string, headers: Record<string, string> = {}) {
  const answer = await app.inject({ url, headers })
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() }
}

async function serve(more: Record<string, Query> = {}, token?: string): Promise<void> {
  app = fastify()
  await app.register(queryRoutes({ streams: instance, queries: { ...queries, ...more }, ...(token && { token }) }))
}

/** An instance with the one task of a topology, instead. */
async function serveOne(topology: Topology, driver: TopologyTestDriver): Promise<void> {
  await app.close()
  app = fastify()
  const streams: QueryableStreams = {
    applicationId: 'app',
    instanceId: 'a',
    topology,
    assignment: undefined,
    partitionCount: () => 1,
    served: () => [{ view: driver.view(), source: () => ({ ...source, role: 'active' }) }],
  }
  await app.register(queryRoutes({ streams }))
}

beforeEach(async () => {
  instance = new Instance()
  asked = 0
  await serve()
})
afterEach(() => app.close())

const source = { instance: 'a', role: 'active', staleMs: 0, generation: 7 } as const

describe('a query', () => {
  test('is answered by the task of its store, of as many as that sub-topology has', async () => {
    const key = keyIn(1)
    await instance.add('letters', Buffer.from(key), 5)
    expect(await get(`/queries/sum?key=${key}`)).toEqual({ status: 200, body: { result: 5, partition: 1, source } })
    // Of 2 partitions another one than of 4: the task of its own sub-topology has it.
    const one = [...Array(100).keys()].find(
      (n) => partitionFor(word.encode(n), 2) === 1 && partitionFor(word.encode(n), 4) === 3,
    )!
    await instance.add('numbers', word.encode(one), 9)
    expect(await get(`/stores/words/get?key=${text(word.encode(one))}`)).toEqual({
      status: 200,
      body: { result: text('9'), partition: 1, source },
    })
  })

  test('about a key that nobody has heard of is 404, and says who answered', async () => {
    expect(await get(`/queries/sum?key=${keyIn(0)}`)).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND', source },
    })
  })

  test('about a partition that is elsewhere is 421 with the generation of the assignment', async () => {
    const answer = await get(`/queries/sum?key=${keyIn(3)}`)
    expect(answer).toMatchObject({ status: 421, body: { code: 'NOT_MINE', generation: 7 } })
    instance.assignment = undefined
    expect(await get('/queries/keys?partition=2')).toMatchObject({ status: 421, body: { generation: -1 } })
  })

  test('is 503 before the instance knows the partitions', async () => {
    instance.counts = {}
    expect(await get('/queries/sum?key=x')).toMatchObject({ status: 503, body: { code: 'NOT_READY' } })
  })

  test('without a key is answered by the task of a partition, or by all there are', async () => {
    const [a, b] = [keyIn(0, 'a'), keyIn(1, 'b')]
    for (const key of [a, b]) await instance.add('letters', Buffer.from(key), 1)
    expect(await get('/queries/keys?partition=1')).toMatchObject({ status: 200, body: { result: [b], partition: 1 } })
    expect((await get('/queries/keys')).body).toEqual({
      results: [
        { result: [a], partition: 0, source },
        { result: [b], partition: 1, source },
      ],
    })
  })

  test.each([
    ['/queries/nothing?key=a', "no query 'nothing'"],
    ['/queries/constructor?key=a', "no query 'constructor'"],
    ['/queries/sum?key=a&key=b', 'key: given more than once'],
    ['/queries/keys?partition=x', 'partition: must be a whole number, not x'],
    ['/queries/keys?partition=4', 'partition: there are 4, not 4'],
    ['/queries/keys?maxStaleMs=-1', 'maxStaleMs: must be a whole number'],
    ['/queries/keys?isolation=dirty', 'isolation: must be committed or latest'],
    ['/stores/nothing/get?key=a', "there is no store 'nothing'"],
    ['/stores/sums/window?key=a', "a key-value store has no 'window'"],
    ['/stores/minutes/get?key=a', "a window store has no 'get'"],
    ['/stores/sums/get?partition=0', 'key: is missing'],
    ['/stores/sums/get?key=*', 'key: must be base64url'],
    ['/stores/sums/range?partition=0&form=a', "there is no parameter 'form' here"],
    [`/stores/sums/range?partition=0&limit=${MAX_LIMIT + 1}`, 'limit: must be 1 to'],
    ['/stores/sums/range?partition=0&limit=0', 'limit: must be 1 to'],
    ['/stores/sums/range?partition=0&reverse=yes', 'reverse: must be true or false'],
    ['/stores/minutes/window?key=a&from=soon', 'from: must be a whole number'],
  ])('%s is 400: %s', async (url, reason) => {
    expect(await get(url)).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', message: expect.stringContaining(reason) as string },
    })
  })

  test('sees what is processed but not committed only with isolation latest', async () => {
    const key = Buffer.from(keyIn(0))
    await instance.add('letters', key, 5)
    instance.driver.pipe('letters', { key, value: number.encode(7), partition: 0 })
    expect((await get(`/queries/sum?key=${key.toString()}`)).body).toMatchObject({ result: 5 })
    expect((await get(`/queries/sum?key=${key.toString()}&isolation=latest`)).body).toMatchObject({ result: 12 })
    expect(instance.isolations).toEqual(['committed', 'latest'])
  })
})

describe('as what an instance answers', () => {
  test('is decided after the query ran: who lost its place meanwhile does not answer as the active', async () => {
    await app.close()
    await serve({
      slow: {
        store: sums,
        ask: async () => {
          await new Promise(setImmediate)
          instance.standing = { role: 'standby', staleMs: 12_000 }
          return 'old'
        },
      },
    })
    expect((await get('/queries/slow?partition=0')).body).toEqual({
      result: 'old',
      partition: 0,
      source: { instance: 'a', role: 'standby', staleMs: 12_000, generation: 7 },
    })
    instance.standing = { role: 'active', staleMs: 0 }
    expect(await get('/queries/slow?partition=0&maxStaleMs=1000')).toMatchObject({
      status: 503,
      body: { code: 'TOO_STALE', source: { staleMs: 12_000 } },
    })
    instance.standing = { role: 'active', staleMs: 0 }
    expect((await get('/queries/slow')).body).toMatchObject({
      results: [{ source: { role: 'standby' } }, { source: { role: 'standby' } }],
    })
  })

  test('too old for the caller it refuses without reading anything; just old enough it answers', async () => {
    instance.standing = { role: 'standby', staleMs: 501 }
    const key = keyIn(0)
    await instance.add('letters', Buffer.from(key), 5)
    expect(await get(`/queries/sum?key=${key}&maxStaleMs=500`)).toMatchObject({
      status: 503,
      body: { code: 'TOO_STALE' },
    })
    expect(asked).toBe(0)
    expect((await get('/queries/keys?maxStaleMs=500')).body).toEqual({ results: [] })
    expect(await get(`/queries/sum?key=${key}&maxStaleMs=501`)).toMatchObject({ status: 200, body: { result: 5 } })
  })

  test('meant for another instance or application it refuses, whatever it has, and tells nothing of its group', async () => {
    const key = keyIn(0)
    await instance.add('letters', Buffer.from(key), 5)
    const asFor = (target: string) => get(`/queries/sum?key=${key}`, { [TARGET_HEADER]: target })
    expect(await asFor('app/a')).toMatchObject({ status: 200, body: { result: 5 } })
    for (const target of ['app/b', 'other/a', '']) {
      expect(await asFor(target)).toEqual({ status: 421, body: { code: 'NOT_MINE', message: `this is not ${target}` } })
    }
  })

  test('a task that moves away while it is read is not there any more, and that is no fault', async () => {
    await app.close()
    await serve({
      moved: {
        store: sums,
        ask: () => {
          instance.held = ['0_1']
          throw new Error('the engine is closed')
        },
      },
      broken: {
        store: sums,
        ask: () => {
          throw new Error('a bug')
        },
      },
    })
    expect(await get('/queries/moved?partition=0')).toMatchObject({ status: 421, body: { code: 'NOT_MINE' } })
    expect(await get('/queries/broken?partition=1')).toMatchObject({ status: 500 })
  })
})

test('with a token, only who has it is answered', async () => {
  await app.close()
  await serve({}, 'secret')
  for (const url of ['/queries/keys', '/stores/sums/range', '/routing']) {
    expect(await get(url), url).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } })
    expect((await get(url, { authorization: 'Bearer wrongs' })).status).toBe(401)
    expect((await get(url, { authorization: 'Bearer secret' })).status).toBe(200)
  }
})

test('a server of its own listens on this machine only, answers, and closes', async () => {
  await instance.add('letters', Buffer.from(keyIn(0)), 5)
  const server = await startQueryServer(instance, { port: 0, token: 'secret', queries })
  try {
    expect(new URL(server.url).hostname).toBe('127.0.0.1')
    const ask = (headers: Record<string, string>) => fetch(`${server.url}/queries/sum?key=${keyIn(0)}`, { headers })
    expect((await ask({})).status).toBe(401)
    expect(await (await ask({ authorization: 'Bearer secret' })).json()).toMatchObject({ result: 5, source })
  } finally {
    await server.close()
  }
  await expect(fetch(server.url)).rejects.toThrow()
})

describe('the store itself', () => {
  const all = ['a', 'ab', 'abc', 'b', 'ba'].map((prefix) => keyIn(0, prefix)).sort()
  beforeEach(async () => {
    for (const key of all) await instance.add('letters', Buffer.from(key), 1)
  })

  async function range(parameters: string) {
    const { body } = await get(`/stores/sums/range?partition=0&${parameters}`)
    const { entries, more } = body['result'] as { entries: [string, string][]; more: boolean }
    for (const [, value] of entries) expect(value).toBe(text('1'))
    return { keys: entries.map(([key]) => Buffer.from(key, 'base64url').toString()), more }
  }

  test('gives the value of a key', async () => {
    expect((await get(`/stores/sums/get?key=${text(all[0]!)}`)).body).toMatchObject({ result: text('1'), source })
    expect(await get(`/stores/sums/get?key=${text(keyIn(0, 'nobody'))}`)).toMatchObject({ status: 404 })
  })

  test('gives a range in the order of keys, from one to another, by prefix, backwards', async () => {
    expect(await range('')).toEqual({ keys: all, more: false })
    expect((await range(`from=${text(all[1]!)}&to=${text(all[3]!)}`)).keys).toEqual(all.slice(1, 4))
    expect((await range(`prefix=${text('ab')}`)).keys).toEqual(all.filter((key) => key.startsWith('ab')))
    expect((await range('reverse=true')).keys).toEqual([...all].reverse())
  })

  test('gives it in pages, each going on behind the last key of the one before', async () => {
    for (const reverse of [false, true]) {
      const seen: string[] = []
      let after = ''
      for (;;) {
        const { keys, more } = await range(`limit=2&reverse=${reverse}${after}`)
        seen.push(...keys)
        if (!more) break
        expect(keys).toHaveLength(2)
        after = `&after=${text(keys.at(-1)!)}`
      }
      expect(seen).toEqual(reverse ? [...all].reverse() : all)
    }
    expect(await range(`limit=${all.length}`)).toMatchObject({ more: false })
    expect(await range(`from=${text(all[1]!)}&after=${text(all[0]!)}`)).toMatchObject({ keys: all.slice(1) })
  })

  test('gives the windows of a key between two starts, with what was announced of them', async () => {
    const key = keyIn(0, 'window')
    for (const at of [0, 1, 2, 3]) await instance.add('letters', Buffer.from(key), at * 60_000 + 1)
    const fetch = async (parameters: string): Promise<{ windows: { startMs: number }[]; more: boolean }> => {
      const { body } = await get(`/stores/minutes/window?key=${text(key)}&${parameters}`)
      return body['result'] as { windows: { startMs: number }[]; more: boolean }
    }
    expect((await fetch('')).windows[3]).toEqual({
      startMs: 180_000,
      closed: false,
      revision: -1,
      value: text('180001'),
    })
    const starts = ({ windows, more }: Awaited<ReturnType<typeof fetch>>) => [
      windows.map(({ startMs }) => startMs),
      more,
    ]
    expect(starts(await fetch('from=60000&to=120000'))).toEqual([[60_000, 120_000], false])
    expect(starts(await fetch('limit=3'))).toEqual([[0, 60_000, 120_000], true])
    expect(starts(await fetch('limit=2&reverse=true'))).toEqual([[180_000, 120_000], true])
  })
})

test('a page of windows reads no more of them than it can hold', async () => {
  const large = windowStore('large', { key: utf8, value: utf8, retentionMs: 3_600_000 })
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: utf8, timestamp: (value) => value.charCodeAt(0) * 60_000 })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
    .aggregate(
      large,
      () => '',
      (_, value) => value,
    )
  const built = builder.build()
  const driver = new TopologyTestDriver(built)
  for (const minute of 'abcdefgh') driver.pipe('in', { key: 'k', value: minute.repeat(3 << 20) })
  await driver.commit()
  const { entries } = MemoryEngine.prototype
  let read = 0
  vi.spyOn(MemoryEngine.prototype, 'entries').mockImplementation(async function* (this: MemoryEngine, scan) {
    for await (const entry of entries.call(this, scan)) {
      read++
      yield entry
    }
  })
  try {
    await serveOne(built, driver)
    const { result } = (await get(`/stores/large/window?key=${text('k')}`)).body as never as {
      result: { windows: unknown[]; more: boolean }
    }
    expect([result.windows.length, result.more]).toEqual([2, true])
    expect(read).toBeLessThanOrEqual(3)
  } finally {
    vi.restoreAllMocks()
  }
})

test('a page ends when it is large enough, whatever its limit', async () => {
  const big = keyValueStore('big', { key: utf8, value: utf8 })
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: utf8 })
    .groupByKey()
    .aggregate(
      big,
      () => '',
      (_, value) => value,
    )
  const built = builder.build()
  const driver = new TopologyTestDriver(built)
  for (const key of ['a', 'b', 'c', 'd']) driver.pipe('in', { key, value: key.repeat(3 << 20) })
  await driver.commit()
  await serveOne(built, driver)
  const { result } = (await get('/stores/big/range?partition=0')).body as never as {
    result: { entries: [string, string][]; more: boolean }
  }
  expect(result.entries.map(([key]) => Buffer.from(key, 'base64url').toString())).toEqual(['a', 'b'])
  expect(result.more).toBe(true)
})
