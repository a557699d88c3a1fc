import type { Interval } from '@candlewick/schemas/intervals'
import type { Bar } from '@candlewick/schemas/types'
import type { Range } from './parameters.js'

/** Who answered a question about live state. */
export interface Source {
  instance: string
  role: 'active' | 'standby'
  /** age of the answer's state in milliseconds; 0 = as the active task committed it */
  staleMs: number
  generation: number
}

export type LiveAnswer<T> =
  | { kind: 'ok'; result: T; source: Source }
  | { kind: 'not-found'; source: Source }
  | { kind: 'bad-request'; message: string }
  | { kind: 'no-owner' }

export interface RoutingTable {
  applicationId: string
  generation: number
  members: readonly { instance: string; endpoint: string; tasks: readonly string[] }[]
  partitions: readonly (string | null)[]
}

/** Live state, asked of the processor that owns the symbol; `QueryClient` of streams/queries is one. */
export interface LiveState {
  query<T>(name: string, key: string, params?: Record<string, string>): Promise<LiveAnswer<T>>
  queryAll<T>(
    name: string,
    params?: Record<string, string>,
  ): Promise<{ results: { result: T; source: Source }[]; missingPartitions: number[] }>
  routing(): RoutingTable
}

export interface HistoricTrade {
  timestamp: number
  /** partition * 2^48 + offset, in decimal: larger than a JSON number holds exactly */
  seq: string
  price: number
  volume: number
  conditions: readonly string[] | null
}

/** What Cassandra keeps. Both methods reject while Cassandra cannot answer. */
export interface History {
  /** ascending by start; see Range for which ones */
  bars(symbol: string, interval: Interval, range: Range): Promise<Bar[]>
  /** ascending by timestamp and seq; see Range for which ones */
  trades(symbol: string, range: Range): Promise<HistoricTrade[]>
}

export interface InstanceTasks {
  instance: string
  endpoint: string
  /** what the processor says of its tasks; absent when it did not answer */
  tasks?: readonly Record<string, unknown>[]
  error?: string
}

/** Asks every processor for the state of its tasks. */
export interface TaskStatuses {
  gather(): Promise<InstanceTasks[]>
}

/** Milliseconds; `nowMs` is the time of day, `elapsedMs` only grows and is for measuring. */
export interface Clock {
  nowMs(): number
  elapsedMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now(), elapsedMs: () => performance.now() }
