import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { until } from '../kafka/testing/test-cluster.js'
import { CountingGroup, type CountingProcess } from '../testing/counting-group.js'
import { sums } from '../testing/counting-store.js'
import { QueryClient } from './query-client.js'
import type { ValueOutcome } from './remote-views.js'

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const KEYS = Array.from({ length: 12 }, (_, n) => `key ${n}`)

let group: CountingGroup
let client: QueryClient
let a: CountingProcess

/** One application for all tests, each of which leaves it as it found it, but the last one. */
beforeAll(async () => {
  group = await CountingGroup.create(inject('kafkaBrokers'), { partitions: 4, keys: KEYS.length })
  client = QueryClient.of(group.client, { applicationId: group.run, log, refreshEveryMs: 200 })
  await client.start()
  a = await startBoth()
})
afterAll(async () => {
  client.close()
  await group.close()
})

interface Asked {
  key: string
  ms: number
  outcome: ValueOutcome<number>
}

/** Every key once, all at the same time. */
function askAll(): Promise<Asked[]> {
  return Promise.all(
    KEYS.map(async (key) => {
      const startedAtMs = performance.now()
      const outcome = await client.keyValue(sums).get(key)
      return { key, outcome, ms: performance.now() - startedAtMs }
    }),
  )
}

const sourceOf = ({ outcome }: Asked) => (outcome.kind === 'ok' ? outcome.source : undefined)
const valueOf = ({ outcome }: Asked) => (outcome.kind === 'ok' ? outcome.value : outcome.kind)

/** Two processes that know the sums: every task has an active that answers, and a standby that follows it. */
async function startBoth(): Promise<CountingProcess> {
  const processes = ['a', 'b'].map((name) => group.start(name, { queries: true, standbys: 1 }))
  await group.send(3)
  await until(async () => {
    const { members, tasks } = client.routing()
    const isSpread = members.length === 2 && tasks.every(({ standbys }) => standbys.length === 1)
    if (!isSpread || processes.some(({ isRunning }) => !isRunning)) return false
    return (await askAll()).every((asked) => sourceOf(asked)?.role === 'active' && valueOf(asked) === 3)
  }, 'every key is answered by its active')
  await until(async () => {
    const answers = await Promise.all(processes.map(({ url }) => fetch(`${url!}/stores/sums/range`)))
    const results = await Promise.all(answers.map((answer) => answer.json() as Promise<{ results: unknown[] }>))
    return results.every((answer) => answer.results.length === 4)
  }, 'every standby can answer')
  return processes[0]!
}

it('queries go on being answered while an instance comes and goes', async () => {
  let isOver = false
  const failed: Asked[] = []
  let answered = 0
  const asking = (async () => {
    while (!isOver) {
      const asked = await askAll()
      answered += asked.length
      failed.push(...asked.filter((one) => valueOf(one) !== 3))
    }
  })()
  const c = group.start('c', { queries: true, standbys: 1 })
  await until(() => client.routing().members.length === 3 && c.isRunning, 'c has joined')
  await c.end('SIGTERM')
  await until(() => client.routing().members.length === 2, 'c has left')
  isOver = true
  await asking
  expect(failed).toEqual([])
  expect(answered).toBeGreaterThan(KEYS.length * 5)
  await until(async () => (await askAll()).every((one) => sourceOf(one)?.role === 'active'), 'all are active again')
})

it.each([
  ['frozen', 'SIGSTOP'],
  ['dead', 'SIGKILL'],
] as const)('the keys of an instance that is %s are answered by the standby in under a second', async (_, signal) => {
  const before = await askAll()
  const ofA = new Set(before.filter((asked) => sourceOf(asked)?.instance === 'a').map(({ key }) => key))
  expect(ofA.size).toBeGreaterThan(0)
  a.signal(signal)
  const asked = await askAll()
  expect(asked.map(valueOf)).toEqual(KEYS.map(() => 3))
  for (const one of asked.filter(({ key }) => ofA.has(key))) {
    expect(sourceOf(one)).toMatchObject({ instance: 'b', role: 'standby' })
    expect(sourceOf(one)!.staleMs).toBeLessThan(10_000)
    expect(one.ms).toBeLessThan(1_000)
  }
  // A limit to the age is kept to: the standby is close behind, but the group still counts on the active.
  const hasty = QueryClient.of(group.client, { applicationId: group.run, log, timeoutMs: 400, hedgeAfterMs: 50 })
  await hasty.start()
  const strict = await hasty.keyValue(sums).get([...ofA][0]!, { maxStaleMs: 0 })
  hasty.close()
  expect(strict).toMatchObject({ kind: 'too-stale', source: { instance: 'b' } })
  const all = await client.keyValue(sums).range({ limit: 5 })
  expect(all).toMatchObject({ kind: 'ok', missingPartitions: [], next: [...KEYS].sort()[4] })
  if (signal === 'SIGKILL') return
  a.signal('SIGCONT')
  await until(async () => (await askAll()).every((one) => sourceOf(one)?.role === 'active'), 'a is active again')
})
