import type { Bar } from '@candlewick/schemas/types'

/** What the API's WebSocket says and hears, and the parsing of it. Every other module of the page trusts these types. */

export type { Bar }
export type Interval = Bar['interval']
export const INTERVALS: readonly Interval[] = ['1m', '5m', '15m', '1h', '1d']

/** The latest trade of one symbol: price and volume of the last price-setting trade, its event time in epoch ms. */
export interface Tick {
  symbol: string
  price: number
  volume: number
  time: number
}

export type Frame =
  | { type: 'welcome'; connection: string; heartbeatMs: number }
  | { type: 'prices'; seq: number; snapshot?: boolean; data: Tick[] }
  | { type: 'bars'; seq: number; snapshot?: boolean; data: Bar[] }
  | { type: 'heartbeat'; seq: number }
  | { type: 'ack' | 'pong' }
  | { type: 'error'; code: number; message: string }

export type ClientFrame =
  | { op: 'subscribe' | 'unsubscribe'; channel: 'prices'; symbols: string[] }
  | { op: 'subscribe' | 'unsubscribe'; channel: 'bars'; symbols: string[]; interval: Interval }
  | { op: 'ping' }

/** One frame of the server, or undefined for what this page does not know: a newer API may say more. */
export function parseFrame(text: string): Frame | undefined {
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    return undefined
  }
  return isFrame(frame) ? frame : undefined
}

function isFrame(value: unknown): value is Frame {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false
  const frame = value as Record<string, unknown>
  switch (frame['type']) {
    case 'welcome':
      return typeof frame['heartbeatMs'] === 'number' && frame['heartbeatMs'] > 0
    case 'prices':
    case 'bars':
      return Number.isSafeInteger(frame['seq']) && Array.isArray(frame['data'])
    case 'heartbeat':
      return Number.isSafeInteger(frame['seq'])
    case 'error':
      return typeof frame['code'] === 'number' && typeof frame['message'] === 'string'
    case 'ack':
    case 'pong':
      return true
    default:
      return false
  }
}
