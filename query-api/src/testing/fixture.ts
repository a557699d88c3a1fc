import type { SymbolAverage, SymbolSummary } from '@candlewick/schemas/queries'
import type { Average, Bar } from '@candlewick/schemas/types'
import { createLogger } from '@candlewick/service/logger'
import type { QuerySource } from '@candlewick/streams/queries/protocol'
import type { AllOutcome, NoAnswer, QueryOutcome } from '@candlewick/streams/queries/outcomes'
import type { AskOptions } from '@candlewick/streams/queries/query-client'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import { buildApp, type AppOptions, type Dependencies } from '../app.js'
import type { History, HistoricTrade, InstanceTasks, LiveState } from '../dependencies.js'
import { createMetrics } from '../metrics.js'
import type { Range } from '../parameters.js'
import { LatestMarket } from '../ws/latest-market.js'

/** What the tests stand on: dependencies in memory that answer as the real ones do, and an app built on them. */
export const MINUTE = 60_000
export const NOW = Date.parse('2026-03-02T15:00:30Z')
export const SOURCE: QuerySource = { instance: 'processor-1', role: 'active', staleMs: 0, generation: 3 }

export function bar(fields: Partial<Bar> = {}): Bar {
  return {
    symbol: 'AAPL',
    interval: '1m',
    start: NOW - 30_000,
    open: 100,
    high: 101,
    low: 99,
    close: 100.5,
    volume: 10,
    notional: 1_003,
    vwap: 100.3,
    trades: 4,
    closed: false,
    revision: 0,
    ...fields,
  }
}

export function average(fields: Partial<Average> = {}): Average {
  return {
    symbol: 'AAPL',
    count: 4,
    volume: 10,
    notional: 1_003,
    mean: 100.25,
    vwap: 100.3,
    priceVolumeMean: 250.75,
    min: 99,
    max: 101,
    first: 100,
    firstTime: NOW - 20_000,
    last: 100.5,
    lastTime: NOW - 1_000,
    asOf: NOW - 1_000,
    ...fields,
  }
}

export function summary(symbol: string, fields: Partial<SymbolSummary> = {}): SymbolSummary {
  return {
    symbol,
    last: 100.5,
    lastTime: NOW - 1_000,
    average: average({ symbol }),
    minute: bar({ symbol }),
    day: bar({ symbol, interval: '1d', start: Date.parse('2026-03-02T00:00:00Z') }),
    ...fields,
  }
}

/** Processors that know the symbols put into them. */
export class MemoryLiveState implements LiveState {
  readonly symbols = new Map<string, SymbolSummary>()
  readonly bars = new Map<string, Bar[]>()
  readonly asked: { name: string; key: string; params: Readonly<Record<string, string>>; maxStaleMs?: number }[] = []
  /** partitions without an owner; with 'all' nobody answers anything */
  away: 'all' | number[] = []
  /** what everybody says instead of an answer */
  refuse: NoAnswer | undefined

  know(symbol: string, fields: Partial<SymbolSummary> = {}): this {
    this.symbols.set(symbol, summary(symbol, fields))
    return this
  }

  async query<T>(
    name: string,
    key: string,
    { params = {}, ...options }: AskOptions & { params?: Readonly<Record<string, string>> } = {},
  ): Promise<QueryOutcome<T>> {
    this.asked.push({ name, key, params, ...options })
    if (this.away === 'all') return { kind: 'no-owner' }
    if (this.refuse !== undefined) return this.refuse
    const known = this.symbols.get(key)
    if (known === undefined) return { kind: 'not-found', source: SOURCE }
    return { kind: 'ok', result: this.#answer(name, known, params) as T, source: SOURCE }
  }

  #answer(
    name: string,
    known: SymbolSummary,
    params: Readonly<Record<string, string>>,
  ): SymbolSummary | SymbolAverage | Bar[] {
    if (name === 'symbol') return known
    if (name === 'bars') return this.bars.get(known.symbol) ?? []
    const { symbol, count, volume, notional, mean, vwap, priceVolumeMean, firstTime, asOf } = known.average
    const windowMs = params['window'] === undefined ? null : Number(params['window'])
    const from = windowMs === null ? firstTime : asOf - windowMs
    return { symbol, windowMs, count, volume, notional, mean, vwap, priceVolumeMean, from, to: asOf, asOf }
  }

  async queryAll<T>(
    name = 'symbols',
    { params = {}, ...options }: AskOptions & { params?: Readonly<Record<string, string>> } = {},
  ): Promise<AllOutcome<T>> {
    this.asked.push({ name, key: '', params, ...options })
    const nobody: AllOutcome<T> = { results: [], missingPartitions: [0, 1], because: { kind: 'no-owner' } }
    if (this.away === 'all') return nobody
    if (this.refuse !== undefined) return { ...nobody, because: this.refuse }
    const behind = [...this.symbols.values()].filter(({ symbol }) => symbol > (params['after'] ?? ''))
    const result = behind
      .sort((a, b) => (a.symbol < b.symbol ? -1 : 1))
      .slice(0, Number(params['limit'] ?? Infinity)) as T
    return {
      results: [{ result, partition: 0, source: SOURCE }],
      missingPartitions: this.away,
      ...(this.away.length > 0 && { because: { kind: 'no-owner' } }),
    }
  }

  routing() {
    return {
      applicationId: 'candlewick',
      epoch: 'epoch-3',
      generation: 3,
      members: [
        { instance: 'processor-1', endpoint: 'http://127.0.0.1:8083', tasks: ['0_0'], standbys: [] },
        { instance: 'processor-2', endpoint: null, tasks: [], standbys: ['0_0'] },
      ],
      tasks: [
        { task: '0_0', partition: 0, active: 'processor-1', standbys: ['processor-2'] },
        { task: '0_1', partition: 1, active: null, standbys: [] },
      ],
    }
  }
}

/** A Cassandra that keeps what is put into it, and can be away. */
export class MemoryHistory implements History {
  readonly keptBars: Bar[] = []
  readonly keptTrades: (HistoricTrade & { symbol: string })[] = []
  failure: Error | undefined

  async bars(symbol: string, interval: string, range: Range): Promise<Bar[]> {
    if (this.failure !== undefined) throw this.failure
    const kept = this.keptBars.filter((one) => one.symbol === symbol && one.interval === interval)
    return within(kept, ({ start }) => start, range)
  }

  async trades(symbol: string, range: Range): Promise<HistoricTrade[]> {
    if (this.failure !== undefined) throw this.failure
    const kept = this.keptTrades.filter((one) => one.symbol === symbol)
    return within(kept, ({ timestamp }) => timestamp, range)
  }
}

function within<T>(rows: readonly T[], timeOf: (row: T) => number, { fromMs, toMs, limit }: Range): T[] {
  const inside = rows.filter((row) => timeOf(row) >= (fromMs ?? 0) && timeOf(row) <= toMs)
  inside.sort((a, b) => timeOf(a) - timeOf(b))
  return fromMs === undefined ? inside.slice(-limit) : inside.slice(0, limit)
}

export const OPTIONS: AppOptions = {
  allowedOrigins: [],
  pageDirectory: '/nonexistent',
  flushMs: 10,
  heartbeatMs: 15_000,
  maxConnections: 200,
  maxSubscriptions: 100,
  maxFrameBytes: 16_384,
  behindAboveBytes: 65_536,
  maxUnsentBytes: 1_048_576,
  maxTotalUnsentBytes: 64 * 1_048_576,
  slowTimeoutMs: 30_000,
  closeTimeoutMs: 500,
}

export interface TestApp {
  app: FastifyInstance
  live: MemoryLiveState
  history: MemoryHistory
  market: LatestMarket
  registry: Registry
}

export async function buildTestApp(
  options: Partial<AppOptions> = {},
  dependencies: Partial<Dependencies> & { instances?: InstanceTasks[] } = {},
): Promise<TestApp> {
  const live = new MemoryLiveState().know('AAPL')
  const history = new MemoryHistory()
  const market = new LatestMarket()
  const registry = new Registry()
  const app = await buildApp(
    {
      live,
      history,
      market,
      tasks: { gather: async () => dependencies.instances ?? [] },
      clock: { nowMs: () => NOW, elapsedMs: () => performance.now() },
      metrics: createMetrics(registry),
      log: createLogger('query-api-test', 'silent'),
      ready: () => undefined,
      ...dependencies,
    },
    { ...OPTIONS, ...options },
  )
  return { app, live, history, market, registry }
}
