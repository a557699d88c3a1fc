import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readError, readFrame, subscribeFrame } from './protocol.js'

const read = (frame: unknown) => readFrame(Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame)))

describe('a frame of Finnhub', () => {
  it('carries many trades of several symbols', () => {
    const t = 1_700_000_000_123
    const data = [
      { s: 'AAPL', p: 190.12, t, v: 100, c: ['1', '12'] },
      { s: 'BINANCE:BTCUSDT', p: 92_000.5, t, v: 0.001, c: null },
      { s: 'OANDA:EUR_USD', p: 1.16, t, v: 0 },
    ]
    expect(read({ type: 'trade', data })).toEqual({
      kind: 'trades',
      trades: [
        { symbol: 'AAPL', price: 190.12, timestamp: t, volume: 100, conditions: ['1', '12'] },
        { symbol: 'BINANCE:BTCUSDT', price: 92_000.5, timestamp: t, volume: 0.001, conditions: null },
        { symbol: 'OANDA:EUR_USD', price: 1.16, timestamp: t, volume: 0, conditions: undefined },
      ],
    })
  })

  it('may be a ping', () => {
    expect(read({ type: 'ping' })).toEqual({ kind: 'ping' })
  })

  it('may be an error', () => {
    expect(read({ type: 'error', msg: 'Invalid symbol X' })).toEqual({ kind: 'error', message: 'Invalid symbol X' })
    expect(read({ type: 'error' })).toMatchObject({ kind: 'error' })
  })

  it('keeps its place for an element that is no trade, so that it is rejected alone', () => {
    const frame = read({ type: 'trade', data: [null, 7, { s: 'A' }] })
    expect(frame.kind === 'trades' && frame.trades.map(({ symbol }) => symbol)).toEqual([undefined, undefined, 'A'])
  })

  it.each([
    ['not-json', '{"type":"trade","data":[{'],
    ['not-json', ''],
    ['not-a-frame', '[]'],
    ['not-a-frame', 'null'],
    ['not-a-frame', '{"data":[]}'],
    ['not-a-frame', '{"type":7}'],
    ['no-data', '{"type":"trade"}'],
    ['no-data', '{"type":"trade","data":{}}'],
    ['unknown-type', '{"type":"gossip"}'],
  ])('is rejected as %s when it is %s', (reason, frame) => {
    expect(read(frame)).toMatchObject({ kind: 'rejected', reason })
  })

  it('is rejected when it is not UTF-8, instead of being taken with its bytes replaced', () => {
    const frame = Buffer.from('{"type":"trade","data":[{"s":"A?","p":1,"t":1,"v":1}]}')
    frame[frame.indexOf('?')] = 0xff
    expect(readFrame(frame)).toMatchObject({ kind: 'rejected', reason: 'not-utf8' })
  })

  it('never makes reading fail, whatever it holds', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => readFrame(Buffer.from(bytes)).kind.length > 0))
    fc.assert(fc.property(fc.json(), (json) => read(json).kind.length > 0))
  })
})

describe('an error frame', () => {
  const fiftyTwo = Array.from({ length: 52 }, (_, i) => `S${i}`)

  it('names the symbol that is invalid', () => {
    expect(readError('Invalid symbol IC MARKETS:9', ['A', 'IC MARKETS:9'])).toEqual({
      kind: 'invalid-symbol',
      symbols: ['IC MARKETS:9'],
    })
    expect(readError('Invalid symbol', ['A'])).toEqual({ kind: 'invalid-symbol', symbols: [] })
  })

  it('is about the symbols after the plan’s 50 when they are too many', () => {
    expect(readError('Subscribing to too many symbols', fiftyTwo)).toEqual({
      kind: 'too-many-symbols',
      symbols: ['S50', 'S51'],
    })
  })

  it('may be about anything else', () => {
    expect(readError('Internal error', fiftyTwo)).toEqual({ kind: 'other', symbols: [] })
  })
})

it('a subscription is one frame per symbol', () => {
  expect(subscribeFrame('IC MARKETS:1')).toBe('{"type":"subscribe","symbol":"IC MARKETS:1"}')
})
