import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafka } from '@candlewick/dev/local/kafka-server'
import { partitionFor } from '@candlewick/streams/kafka/partitioner'
import type { QuerySource } from '@candlewick/streams/queries/protocol'
import { QueryClient } from '@candlewick/streams/queries/query-client'
import { CountingGroup, type CountingProcess } from '@candlewick/streams/testing/counting-group'
import { sums } from '@candlewick/streams/testing/counting-store'
import { summary } from './percentiles.js'

/**
 * Kills and freezes the processes of an application one after the other, under load, and measures from each kill on how
 * long it takes until the victim's keys are answered again (by a standby) and until they are processed again (an active
 * answers with records that were sent after the kill). In the end every sum must be exact. With --restart each is killed
 * and started again at once, where it was, as a supervisor would.
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    processes: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '6' },
    restart: { type: 'boolean', default: false },
    /** host:port of a running broker; without it one is started */
    brokers: { type: 'string' },
  },
})
const [kills, processes, partitions] = [options.kills, options.processes, options.partitions].map(Number) as [
  number,
  number,
  number,
]
const KEYS = 60
type Signal = 'SIGKILL' | 'SIGSTOP'
const SIGNALS: readonly Signal[] = options.restart ? ['SIGKILL'] : ['SIGKILL', 'SIGSTOP']
const log = { debug: () => undefined, info: () => undefined, warn: console.warn, error: console.error }

interface Outage {
  signal: Signal
  /** Per watched key, since the signal. */
  answeredMs: number[]
  processedMs: number[]
  /** Of every query meanwhile, how long it took; `failed` of them brought no answer. */
  queriesMs: number[]
  failed: number
}

const dir = await mkdtemp(join(tmpdir(), 'candlewick-bench-'))
const kafka = options.brokers === undefined ? await startKafka({ dir: join(dir, 'kafka') }) : undefined
try {
  await measure(options.brokers ?? kafka!.brokers)
} finally {
  await kafka?.stop()
  await rm(dir, { recursive: true, force: true })
}

async function measure(brokers: string): Promise<void> {
  const group = await CountingGroup.create(brokers, { partitions, keys: KEYS })
  const client = QueryClient.of(group.client, { applicationId: group.run, log })
  try {
    const start = (name: string) => group.start(name, { queries: true, standbys: 1 })
    const running = new Map(Array.from({ length: processes }, (_, at) => [`p${at}`, start(`p${at}`)]))
    await client.start()
    const stopLoad = group.load(1)
    const outages: Outage[] = []
    for (let n = 0; n < kills; n++) {
      await settled(client, running)
      const name = `p${n % processes}`
      const [victim, signal] = [running.get(name)!, SIGNALS[n % SIGNALS.length]!]
      const outage = await outageAfter(client, group, victim, async () => {
        if (!options.restart) return victim.signal(signal)
        await victim.end(signal)
        running.set(name, start(name))
      })
      outages.push({ signal, ...outage })
      if (signal === 'SIGSTOP') victim.signal('SIGCONT')
      else if (!options.restart) running.set(name, start(name))
      const told = [outage.answeredMs, outage.processedMs].map((sample) =>
        Math.max(...sample)
          .toFixed(0)
          .padStart(6),
      )
      console.log(`${String(n + 1).padStart(3)} ${name} ${signal}  answered${told[0]!} ms  processed${told[1]!} ms`)
    }
    await settled(client, running)
    await stopLoad()
    await group.exact()
    print(outages, group.sent * KEYS)
  } finally {
    client.close()
    await group.close()
  }
}

/** Every process answers for all it was given: as the active for its tasks, as a standby for those it keeps warm. */
async function settled(client: QueryClient, running: ReadonlyMap<string, CountingProcess>): Promise<void> {
  const isSettled = async (): Promise<boolean> => {
    const { members, tasks } = client.routing()
    if (members.length !== running.size || members.some((member) => member.tasks.length === 0)) return false
    if (tasks.some(({ standbys }) => standbys.length === 0)) return false
    const served = await Promise.all(
      members.map(async ({ endpoint }) => {
        const answer = await fetch(`${endpoint!}/stores/sums/range?limit=1`)
        const { results } = (await answer.json()) as { results: { partition: number; source: QuerySource }[] }
        return results.map(({ partition, source }) => `${partition} by ${source.instance} as ${source.role}`)
      }),
    )
    const answers = new Set(served.flat())
    return tasks.every(({ partition, active, standbys }) => {
      return [`${active} as active`, ...standbys.map((one) => `${one} as standby`)].every((who) =>
        answers.has(`${partition} by ${who}`),
      )
    })
  }
  const untilMs = performance.now() + 120_000
  while (!(await isSettled().catch(() => false))) {
    if (performance.now() > untilMs) throw new Error('the application does not settle')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function outageAfter(
  client: QueryClient,
  group: CountingGroup,
  victim: CountingProcess,
  strike: () => Promise<void> | void,
): Promise<Omit<Outage, 'signal'>> {
  const owned = client.routing().tasks.filter(({ active }) => active === victim.instance)
  const keys = owned.map(({ partition }) => keyIn(partition))
  const outage = { answeredMs: [] as number[], processedMs: [] as number[], queriesMs: [] as number[], failed: 0 }
  const view = client.keyValue(sums)
  const killedAtMs = performance.now()
  await strike()
  // What is more than this was sent, and so processed, afterwards.
  const sentBefore = group.sent + 1
  await Promise.all(
    keys.map(async (key) => {
      for (let answered = false; ;) {
        const askedAtMs = performance.now()
        const outcome = await view.get(key)
        const nowMs = performance.now()
        outage.queriesMs.push(nowMs - askedAtMs)
        if (outcome.kind !== 'ok') outage.failed++
        else {
          if (!answered) outage.answeredMs.push(nowMs - killedAtMs)
          answered = true
          if (outcome.source.role === 'active' && (outcome.value ?? 0) > sentBefore) {
            outage.processedMs.push(nowMs - killedAtMs)
            return
          }
        }
        if (nowMs - killedAtMs > 120_000) throw new Error(`${key} is not processed again`)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }),
  )
  return outage
}

function keyIn(partition: number): string {
  for (let n = 0; n < KEYS; n++) if (partitionFor(Buffer.from(`key ${n}`), partitions) === partition) return `key ${n}`
  throw new Error(`no key lies in partition ${partition}`)
}

function print(outages: readonly Outage[], records: number): void {
  const all = (signal: Signal | undefined, sample: (outage: Outage) => readonly number[]) =>
    summary(outages.filter((outage) => signal === undefined || outage.signal === signal).flatMap(sample))
  const failed = outages.reduce((sum, outage) => sum + outage.failed, 0)
  const rows: [string, Signal | undefined][] = SIGNALS.map((signal) => [signal, signal])
  if (rows.length > 1) rows.push(['all', undefined])
  const how = options.restart ? 'kills, each started again at once,' : 'kills'
  console.log(`\n${outages.length} ${how} of ${processes} processes with ${partitions} partitions, session timeout 6 s`)
  for (const [name, signal] of rows) {
    console.log(`answered again   ${name.padEnd(8)} ${all(signal, (outage) => outage.answeredMs)}`)
  }
  for (const [name, signal] of rows) {
    console.log(`processed again  ${name.padEnd(8)} ${all(signal, (outage) => outage.processedMs)}`)
  }
  console.log(
    `queries in the outages     ${all(undefined, (outage) => outage.queriesMs)}, without an answer: ${failed}`,
  )
  console.log(`${records.toLocaleString('en')} records: none lost, none counted twice`)
}
