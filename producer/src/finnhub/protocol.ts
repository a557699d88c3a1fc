import { isUtf8 } from 'node:buffer'
import type { UncheckedTrade } from '../trade-source.js'

/** A frame of Finnhub's WebSocket, as https://finnhub.io/docs/api/websocket-trades and clients in the field show it. */
export type Frame =
  | { readonly kind: 'trades'; readonly trades: readonly UncheckedTrade[] }
  | { readonly kind: 'ping' }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'rejected'; readonly reason: RejectedFrame; readonly detail: string }

export type RejectedFrame = 'not-utf8' | 'not-json' | 'not-a-frame' | 'unknown-type' | 'no-data'

/** Finnhub's free plan takes this many symbols on its connection. */
export const FREE_PLAN_SYMBOLS = 50

/** Reads a frame: `{"type":"trade","data":[{"s","p","t","v","c"?}]}`, `{"type":"ping"}` or `{"type":"error","msg"}`. */
export function readFrame(raw: Buffer): Frame {
  if (!isUtf8(raw)) return rejected('not-utf8', 'the frame is not UTF-8 text')
  let frame: unknown
  try {
    frame = JSON.parse(raw.toString('utf8'))
  } catch {
    return rejected('not-json', 'the frame is not JSON')
  }
  if (!isObject(frame) || typeof frame['type'] !== 'string') {
    return rejected('not-a-frame', 'the frame is not an object with a type')
  }
  switch (frame['type']) {
    case 'trade':
      return Array.isArray(frame['data'])
        ? { kind: 'trades', trades: (frame['data'] as unknown[]).map(toUnchecked) }
        : rejected('no-data', 'the trade frame has no list of trades')
    case 'ping':
      return { kind: 'ping' }
    case 'error':
      return { kind: 'error', message: typeof frame['msg'] === 'string' ? frame['msg'] : 'an error without a text' }
    default:
      return rejected('unknown-type', 'the frame is of no known type')
  }
}

/** What an error frame is about. */
export type FeedError =
  | { readonly kind: 'invalid-symbol'; readonly symbols: readonly string[] }
  | { readonly kind: 'too-many-symbols'; readonly symbols: readonly string[] }
  | { readonly kind: 'other'; readonly symbols: readonly string[] }

/**
 * Names the symbols an error frame concerns. "Too many symbols" names none itself: Finnhub takes the first ones of a
 * connection up to the plan's limit, so those after it are meant.
 * @param subscribed in the order they were subscribed
 */
export function readError(message: string, subscribed: readonly string[]): FeedError {
  const invalid = /invalid symbol:?\s*(.*)$/i.exec(message)
  if (invalid) {
    const named = invalid[1]?.trim() ?? ''
    return { kind: 'invalid-symbol', symbols: subscribed.filter((symbol) => symbol === named) }
  }
  if (/too many symbols/i.test(message)) {
    return { kind: 'too-many-symbols', symbols: subscribed.slice(FREE_PLAN_SYMBOLS) }
  }
  return { kind: 'other', symbols: [] }
}

export function subscribeFrame(symbol: string): string {
  return JSON.stringify({ type: 'subscribe', symbol })
}

function toUnchecked(element: unknown): UncheckedTrade {
  const trade = isObject(element) ? element : {}
  // c is absent or null for most crypto and forex trades.
  return { symbol: trade['s'], price: trade['p'], volume: trade['v'], timestamp: trade['t'], conditions: trade['c'] }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function rejected(reason: RejectedFrame, detail: string): Frame {
  return { kind: 'rejected', reason, detail }
}
