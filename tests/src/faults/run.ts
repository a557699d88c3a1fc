import { rm } from 'node:fs/promises'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { getJson, until } from '../wait.js'
import { judge } from './checks/verdict.js'
import { Injector } from './injector.js'
import { lagOf } from './lag.js'
import { Load } from './load.js'
import { planFaults } from './plan.js'
import { makeReport, worthless, type Report } from './report.js'
import { APPLICATION_ID, KEYSPACE, System } from './system.js'
import { Watch } from './watch.js'

export interface RunOptions {
  seed: string
  /** How long faults are injected. */
  minutes: number
  records: number
  /** Data and logs of the system; emptied first, kept afterwards. */
  dir: string
  log: (line: string) => void
  /** Gives up; everything that was started is ended. */
  signal: AbortSignal
}

const PARTITIONS = 6
const PROCESSORS = 3
/** So long nothing may move before what is still missing is taken for lost. */
const PATIENCE_MS = 120_000
const CAUGHT_UP_MS = 1_000

/**
 * Runs the system under load and faults, lets it come to rest, and compares all it made with the independent fold.
 * @throws when something of the surroundings fails (a server that does not start, an API that does not answer)
 */
export async function runFaults({ seed, minutes, records, dir, log, signal }: RunOptions): Promise<Report> {
  const startedMs = performance.now()
  const durationMs = Math.round(minutes * 60_000)
  await rm(dir, { recursive: true, force: true })
  log('starting Kafka, Cassandra, the processors and the API')
  const system = await System.start({ dir, partitions: PARTITIONS, processors: PROCESSORS, log })
  const kafka = new Kafka({
    brokers: [system.kafkaBrokers],
    logLevel: logLevel.NOTHING,
    requestTimeout: 5_000,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
  })
  const admin = kafka.admin()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  const ending = new AbortController()
  const either = AbortSignal.any([signal, ending.signal])
  let watching: Promise<void> = Promise.resolve()
  try {
    await Promise.all([admin.connect(), producer.connect()])
    await until('all processors to be ready', () => areReady(system), { timeoutMs: 120_000 })

    const injector = new Injector(system, log, () => watch.clock.behindMs < CAUGHT_UP_MS)
    const load = new Load({
      seed,
      records,
      durationMs,
      partitions: PARTITIONS,
      producer,
      topic: 'trades',
      signal: either,
    })
    const watch: Watch = new Watch({
      system,
      admin,
      groupId: APPLICATION_ID,
      onlyCassandraIsAway: () => injector.onlyCassandraIsAway,
      signal: either,
      tell: ({ lag, behindMs }) => {
        if (system.apiCollapse !== undefined) ending.abort(new Error(`the API ended by itself: ${system.apiCollapse}`))
        if (lag === 0 && load.isThrough) return
        const seconds = (behindMs / 1_000).toFixed(1)
        log(`${number(load.sent)} records sent, ${number(lag)} of them not processed (${seconds} s behind)`)
      },
    })
    watching = watch.run()
    log(`faults for ${minutes} min, ${number(records)} records`)
    await Promise.all([load.run(), injector.run(planFaults({ seed, durationMs, processors: PROCESSORS }), either)])
    either.throwIfAborted()

    log('the last fault is over; sending the rest and the sentinels')
    await until('all processors to be ready', () => areReady(system), { timeoutMs: PATIENCE_MS })
    const prices = await load.sendSentinels()
    const lags = await untilQuiet(admin)
    const sentinels = await visibleSentinels(system.api, prices)
    log(`the lag is ${[...lags.values()].join(' and ')}; ${sentinels} of ${prices.size} sentinels are visible`)
    await Promise.all(system.processors.map((processor) => processor.count()))
    const verdict = await judge(
      {
        kafkaBrokers: system.kafkaBrokers,
        applicationId: APPLICATION_ID,
        cassandra: { ...system.cassandraAt, keyspace: KEYSPACE },
        api: system.api,
        processors: system.processors.map(({ url }) => url),
        async restartProcessors() {
          await Promise.all(system.processors.map((processor) => processor.kill()))
          await Promise.all(system.processors.map((processor) => processor.start()))
          await until('all processors to be ready', () => areReady(system), { timeoutMs: PATIENCE_MS })
        },
      },
      log,
    )
    return makeReport({
      ...{ seed, minutes, records, partitions: PARTITIONS, processors: system.processors },
      tookMs: performance.now() - startedMs,
      done: injector.done,
      load,
      bounces: watch.cassandraBounces,
      lags,
      sentinels: { sent: prices.size, visible: sentinels },
      skippedMarkers: await system.skippedMarkers(),
      verdict,
    })
  } catch (error) {
    const skipped = await system.skippedMarkers()
    throw skipped > 0 ? new Error(worthless(skipped), { cause: error }) : error
  } finally {
    ending.abort()
    await watching
    await Promise.allSettled([admin.disconnect(), producer.disconnect()])
    log('ending')
    await system.stop()
  }
}

async function areReady(system: System): Promise<true | undefined> {
  const ready = await Promise.all(system.processors.map((processor) => processor.isReady()))
  return ready.every(Boolean) ? true : undefined
}

/** The groups and the topics they read. */
const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  [APPLICATION_ID, ['trades']],
  [`${APPLICATION_ID}-sink`, ['trades', 'averages', 'bars']],
]

/** Waits until nobody lags. @returns the lags: all 0, or those that did not move any more */
async function untilQuiet(admin: Admin): Promise<Map<string, number>> {
  let least = Infinity
  let movedAtMs = performance.now()
  let lags = new Map<string, number>()
  const look = async () => {
    const found = await Promise.all(GROUPS.map(([group, topics]) => lagOf(admin, group, topics)))
    lags = new Map(GROUPS.map(([group], index) => [group, found[index]!.lag]))
    const left = found.reduce((sum, { lag }) => sum + lag, 0)
    if (left < least) [least, movedAtMs] = [left, performance.now()]
    return left === 0 || performance.now() - movedAtMs > PATIENCE_MS ? true : undefined
  }
  await until('nobody to lag', look, { timeoutMs: Infinity })
  return lags
}

/** How many symbols answer with their sentinel as the last price. */
async function visibleSentinels(api: string, prices: ReadonlyMap<string, number>): Promise<number> {
  let visible = 0
  for (const [symbol, price] of prices) {
    const { last } = await getJson<{ last: number | null }>(`${api}/symbols/${encodeURIComponent(symbol)}`)
    if (last === price) visible++
  }
  return visible
}

export function number(value: number): string {
  return value.toLocaleString('en-US')
}
