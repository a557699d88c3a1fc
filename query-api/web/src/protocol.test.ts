import { describe, expect, it } from 'vitest'
import { parseFrame } from './protocol.js'

describe('a frame of the server', () => {
  it.each([
    { type: 'welcome', connection: 'c1', heartbeatMs: 15_000 },
    { type: 'prices', seq: 1, snapshot: true, data: [{ symbol: 'AAPL', price: 1, volume: 2, time: 3 }] },
    { type: 'bars', seq: 2, data: [] },
    { type: 'heartbeat', seq: 3 },
    { type: 'ack', subscriptions: { prices: ['*'], bars: [] } },
    { type: 'pong' },
    { type: 'error', code: 407, message: 'too slow' },
  ])('of type $type is taken as it is', (frame) => {
    expect(parseFrame(JSON.stringify(frame))).toEqual(frame)
  })

  it.each([
    'not JSON',
    'null',
    '[]',
    '"prices"',
    '{"type":"news"}',
    '{"type":"prices","data":[]}',
    '{"type":"prices","seq":1}',
    '{"type":"welcome","heartbeatMs":0}',
    '{"type":"error","message":"no code"}',
  ])('that cannot be used is passed over: %s', (text) => {
    expect(parseFrame(text)).toBeUndefined()
  })
})
