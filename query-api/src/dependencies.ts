import type { Interval } from '@candlewick/schemas/intervals'
import type { Bar } from '@candlewick/schemas/types'
import type { QueryClient } from '@candlewick/streams/queries/query-client'
import type { Range } from './parameters.js'

/** Live state, asked of the processor that owns the symbol: what the API needs of the runtime's query client. */
export type LiveState = Pick<QueryClient, 'query' | 'queryAll' | 'routing'>

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
  /** null = it told nobody where it answers */
  endpoint: string | null
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
