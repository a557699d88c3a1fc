import { INTERVALS } from '@candlewick/schemas/intervals'
import { parseSymbol } from '../parameters.js'
import type { Channel } from './subscriptions.js'

export type RequestId = string | number | boolean | null

/** A frame of a client, parsed once. */
export type Request = { id?: RequestId } & (
  { op: 'ping' } | { op: 'subscribe' | 'unsubscribe'; channel: Channel; symbols: readonly string[] }
)

/** Numbers as Alpaca uses them: 400 = not a request at all, 410 = a request for something there is not. */
export type ParsedRequest =
  { kind: 'ok'; request: Request } | { kind: 'error'; code: 400 | 410; message: string; id?: RequestId }

const LONGEST_ID = 128

/** What is wrong is said with the client's id wherever that could be read. */
export function parseRequest(text: string): ParsedRequest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { kind: 'error', code: 400, message: 'not JSON' }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'error', code: 400, message: 'a request is a JSON object' }
  }
  const { op, id, channel, symbols, interval } = value as Record<string, unknown>
  if (!isRequestId(id)) {
    const message = `id must be a number, a boolean or a text of at most ${LONGEST_ID} characters`
    return { kind: 'error', code: 400, message }
  }
  const echo = id === undefined ? {} : { id }
  const error = (code: 400 | 410, message: string): ParsedRequest => ({ kind: 'error', code, message, ...echo })

  if (op === 'ping') return { kind: 'ok', request: { op, ...echo } }
  if (op !== 'subscribe' && op !== 'unsubscribe') return error(400, 'op must be subscribe, unsubscribe or ping')
  if (!Array.isArray(symbols) || !symbols.every((symbol) => typeof symbol === 'string')) {
    return error(400, 'symbols must be an array of texts')
  }
  if (symbols.length === 0) return error(410, 'symbols is empty: name some, or "*" for all')
  for (const symbol of symbols) {
    const parsed = parseSymbol(symbol)
    if (parsed.kind === 'bad') return error(410, parsed.reason)
  }
  const parsedChannel = parseChannel(channel, interval)
  if (typeof parsedChannel === 'string') return error(410, parsedChannel)
  return { kind: 'ok', request: { op, channel: parsedChannel, symbols, ...echo } }
}

/** @returns the channel, or what is wrong with it */
function parseChannel(channel: unknown, interval: unknown): Channel | string {
  if (channel === 'prices') return interval === undefined ? { channel } : 'prices have no interval'
  if (channel !== 'bars') return 'channel must be prices or bars'
  if (interval === undefined) return { channel, interval: '1m' }
  const known = INTERVALS.find((name) => name === interval)
  return known === undefined ? `interval must be one of ${INTERVALS.join(', ')}` : { channel, interval: known }
}

function isRequestId(id: unknown): id is RequestId | undefined {
  return (
    id === undefined ||
    id === null ||
    typeof id === 'number' ||
    typeof id === 'boolean' ||
    (typeof id === 'string' && id.length <= LONGEST_ID)
  )
}
