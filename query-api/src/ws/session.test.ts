import { describe, expect, test } from 'vitest'
import { bar } from '../testing/fixture.js'
import { LatestMarket } from './latest-market.js'
import { Session, type Action, type SessionLimits } from './session.js'
import { encodings, type Update } from './update.js'

const LIMITS: SessionLimits = {
  heartbeatMs: 15_000,
  maxSubscriptions: 4,
  behindAboveBytes: 1_000,
  maxUnsentBytes: 10_000,
  slowTimeoutMs: 30_000,
}
const BEHIND = 1_001

/** A session and its market; frames come back as values, other actions as they are. */
function setUp(limits: Partial<SessionLimits> = {}) {
  const market = new LatestMarket()
  const session = new Session('c1', { ...LIMITS, ...limits }, 0)
  const decoder = new TextDecoder()
  const read = (actions: Action[]) =>
    actions.map((action): Record<string, unknown> => {
      if (action.kind !== 'send') return { ...action }
      const { text, shared } = action.frame
      return JSON.parse(shared === undefined ? text : `${text}${decoder.decode(shared)}]}`) as Record<string, unknown>
    })
  const ask = (request: object, unsentBytes = 0, nowMs = 0) =>
    read(session.receive(JSON.stringify(request), unsentBytes, nowMs, market))
  const price = (symbol: string, value: number, time = value) => market.price({ symbol, price: value, volume: 1, time })
  const turn = (unsentBytes = 0, nowMs = 0, update: Update | undefined = market.takeUpdate()) =>
    read(session.turn(update, unsentBytes, nowMs))
  return { market, session, ask, price, turn, read }
}
const subscribe = (...symbols: string[]) => ({ op: 'subscribe', channel: 'prices', symbols })
const priceOf = (symbol: string, value: number) => ({ symbol, price: value, volume: 1, time: value })

describe('a connection', () => {
  test('is welcomed with its name and the heartbeat’s interval', () => {
    const { session, read } = setUp()
    expect(read(session.open(0))).toEqual([{ type: 'welcome', connection: 'c1', heartbeatMs: 15_000 }])
  })

  test('gets a heartbeat with the next sequence number only after it heard nothing else for that long', () => {
    const { ask, price, turn } = setUp()
    ask(subscribe('A'), 0, 0)
    price('A', 1)
    expect(turn(0, 10_000)).toEqual([{ type: 'prices', seq: 2, data: [priceOf('A', 1)] }])
    ask({ op: 'ping' }, 0, 11_000)
    expect(turn(0, 25_999)).toEqual([{ kind: 'ping' }])
    expect(turn(0, 26_000)).toEqual([{ type: 'heartbeat', seq: 3 }])
  })

  test('is pinged at every heartbeat, lives as long as it answers, and is given up after two without', () => {
    const { session, turn } = setUp()
    const pings = (actions: object[]) => actions.filter((action) => 'kind' in action && action.kind === 'ping').length
    expect(pings(turn(0, 14_999))).toBe(0)
    expect(pings(turn(0, 15_000))).toBe(1)
    session.heard(15_010)
    expect(pings(turn(0, 30_000))).toBe(1)
    expect(pings(turn(0, 45_009))).toBe(1)
    expect(turn(0, 45_010)).toEqual([{ kind: 'terminate', reason: 'dead' }])
    expect(turn(0, 99_999)).toEqual([])
  })

  test('a ping is answered with a pong that carries its id', () => {
    const { ask } = setUp()
    expect(ask({ op: 'ping' })).toEqual([{ type: 'pong' }])
    expect(ask({ op: 'ping', id: 7 })).toEqual([{ type: 'pong', id: 7 }])
  })
})

describe('a request that is none', () => {
  test.each([
    ['{', 'not JSON'],
    ['', 'not JSON'],
    ['[]', 'a request is a JSON object'],
    ['null', 'a request is a JSON object'],
    ['"subscribe"', 'a request is a JSON object'],
    ['{}', 'op must be'],
    ['{"op":"SUBSCRIBE"}', 'op must be'],
    ['{"op":"ping","id":{}}', 'id must be'],
    [`{"op":"ping","id":"${'x'.repeat(129)}"}`, 'id must be'],
    [`{"op":"ping","id":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'id must be'],
    ['{"op":"subscribe","channel":"prices"}', 'symbols must be an array of texts'],
    ['{"op":"subscribe","channel":"prices","symbols":"A"}', 'symbols must be an array of texts'],
    ['{"op":"subscribe","channel":"prices","symbols":[1]}', 'symbols must be an array of texts'],
  ])('%.60s is answered 400, and the connection stays', (text, reason) => {
    const { session, read, market, ask } = setUp()
    expect(read(session.receive(text, 0, 0, market))).toEqual([
      { type: 'error', code: 400, message: expect.stringContaining(reason) as string },
    ])
    expect(ask({ op: 'ping' })).toEqual([{ type: 'pong' }])
  })

  test('a binary frame is answered 400', () => {
    const { session, read } = setUp()
    expect(read(session.receiveBinary(0, 0))).toMatchObject([{ type: 'error', code: 400 }])
  })

  test.each([
    [{ channel: 'trades', symbols: ['A'] }, 'channel must be prices or bars'],
    [{ channel: '__proto__', symbols: ['A'] }, 'channel must be prices or bars'],
    [{ symbols: ['A'] }, 'channel must be prices or bars'],
    [{ channel: 'bars', symbols: ['A'], interval: '2m' }, 'interval must be one of 1m, 5m, 15m, 1h, 1d'],
    [{ channel: 'prices', symbols: ['A'], interval: '1m' }, 'prices have no interval'],
    [{ channel: 'prices', symbols: [] }, 'symbols is empty'],
    [{ channel: 'prices', symbols: ['A', ''] }, 'the symbol is empty'],
    [{ channel: 'prices', symbols: ['A\u0000'] }, 'printable'],
    [{ channel: 'prices', symbols: ['x'.repeat(65)] }, '1 to 64'],
  ])('%j is answered 410 with the id, and nothing of it is subscribed', (request, reason) => {
    const { session, ask } = setUp()
    expect(ask({ op: 'subscribe', id: 'x', ...request })).toEqual([
      { type: 'error', id: 'x', code: 410, message: expect.stringContaining(reason) as string },
    ])
    expect(session.subscriptions.size).toBe(0)
  })
})

describe('a subscription', () => {
  test('is acknowledged with the id and the whole list, then the snapshot follows', () => {
    const { ask, price, market } = setUp()
    price('A', 1)
    market.bar(bar({ symbol: 'A' }))
    expect(ask({ id: 1, ...subscribe('A', 'B') })).toEqual([
      { type: 'ack', id: 1, subscriptions: { prices: ['A', 'B'], bars: [] } },
      { type: 'prices', seq: 1, snapshot: true, data: [priceOf('A', 1)] },
    ])
    expect(ask({ op: 'subscribe', id: 2, channel: 'bars', symbols: ['A'] })).toEqual([
      { type: 'ack', id: 2, subscriptions: { prices: ['A', 'B'], bars: [{ symbol: 'A', interval: '1m' }] } },
      { type: 'bars', seq: 2, snapshot: true, data: [bar({ symbol: 'A' })] },
    ])
  })

  test('of what is subscribed already is acknowledged without another snapshot', () => {
    const { ask, price } = setUp()
    price('A', 1)
    ask(subscribe('A'))
    expect(ask(subscribe('A', 'A'))).toEqual([{ type: 'ack', subscriptions: { prices: ['A'], bars: [] } }])
    expect(ask(subscribe('A', 'B'))).toMatchObject([{ type: 'ack' }, { type: 'prices', seq: 2, data: [] }])
  })

  test('brings what was subscribed to and nothing else, the latest per symbol', () => {
    const { ask, price, turn, market } = setUp()
    ask(subscribe('A'))
    ask({ op: 'subscribe', channel: 'bars', symbols: ['B'], interval: '5m' })
    price('A', 1)
    price('A', 2)
    price('B', 3)
    market.bar(bar({ symbol: 'B' }))
    market.bar(bar({ symbol: 'B', interval: '5m', closed: true }))
    market.bar(bar({ symbol: 'A', interval: '5m', closed: true }))
    expect(turn()).toEqual([
      { type: 'prices', seq: 3, data: [priceOf('A', 2)] },
      { type: 'bars', seq: 4, data: [bar({ symbol: 'B', interval: '5m', closed: true })] },
    ])
    expect(turn()).toEqual([])
  })

  test('of "*" brings every symbol, also one never heard of before', () => {
    const { ask, price, turn } = setUp()
    price('A', 1)
    expect(ask(subscribe('*'))[1]).toMatchObject({ snapshot: true, data: [priceOf('A', 1)] })
    turn()
    price('NEW', 2)
    expect(turn()).toEqual([{ type: 'prices', seq: 3, data: [priceOf('NEW', 2)] }])
  })

  test('ends with unsubscribe; one that never was may be ended too', () => {
    const { ask, price, turn } = setUp()
    ask(subscribe('A', 'B'))
    expect(ask({ op: 'unsubscribe', id: 'u', channel: 'prices', symbols: ['A', 'Z'] })).toEqual([
      { type: 'ack', id: 'u', subscriptions: { prices: ['B'], bars: [] } },
    ])
    price('A', 1)
    price('B', 2)
    expect(turn()).toMatchObject([{ data: [priceOf('B', 2)] }])
    expect(ask({ op: 'unsubscribe', channel: 'bars', symbols: ['*'], interval: '1h' })).toMatchObject([
      { subscriptions: { prices: ['B'], bars: [] } },
    ])
  })

  test('unsubscribing "*" leaves those named one by one', () => {
    const { ask, price, turn } = setUp()
    ask(subscribe('*', 'A'))
    ask({ op: 'unsubscribe', channel: 'prices', symbols: ['*'] })
    price('A', 1)
    price('B', 2)
    expect(turn()).toMatchObject([{ data: [priceOf('A', 1)] }])
  })

  test('beyond the limit is refused as a whole with 405; "*" counts as one', () => {
    const { session, ask } = setUp()
    ask(subscribe('A', 'B', '*'))
    expect(ask({ id: 9, ...subscribe('C', 'D') })).toEqual([
      { type: 'error', id: 9, code: 405, message: expect.stringContaining('at most 4 symbols') as string },
    ])
    expect(session.subscriptions.list().prices).toEqual(['*', 'A', 'B'])
    expect(ask({ op: 'subscribe', channel: 'bars', symbols: ['A'] })[0]).toMatchObject({ type: 'ack' })
    expect(ask({ op: 'subscribe', channel: 'bars', symbols: ['A'], interval: '1h' })).toMatchObject([{ code: 405 }])
  })

  test('sends what all with the same subscriptions send from one encoding', () => {
    const market = new LatestMarket()
    const sessions = Array.from({ length: 100 }, (_, index) => new Session(String(index), LIMITS, 0))
    for (const session of sessions) session.receive(JSON.stringify(subscribe('*')), 0, 0, market)
    market.price({ symbol: 'A', price: 1, volume: 1, time: 1 })
    const update = market.takeUpdate()
    const bytes = sessions.map((session) => {
      const [action] = session.turn(update, 0, 0)
      return action?.kind === 'send' ? action.frame.shared : undefined
    })
    expect(bytes[0]).toBeDefined()
    expect(new Set(bytes).size).toBe(1)
  })

  test('costs one encoding per price however different the subscriptions are', () => {
    const market = new LatestMarket()
    const lists = [['*'], ['A'], ['A', 'B'], ['B', 'C', 'A']]
    const sessions = lists.map((symbols, index) => {
      const session = new Session(String(index), LIMITS, 0)
      session.receive(JSON.stringify(subscribe(...symbols)), 0, 0, market)
      return session
    })
    for (const symbol of ['A', 'B', 'C']) market.price({ symbol, price: 1, volume: 1, time: 1 })
    const update = market.takeUpdate()
    const before = encodings.count
    for (const session of sessions) expect(session.turn(update, 0, 0)).toHaveLength(1)
    expect(encodings.count - before).toBe(3)
  })
})

describe('a client that is slow', () => {
  test('gets nothing while it is behind, then the latest of each symbol in one frame after a hole in the numbers', () => {
    const { session, ask, price, turn } = setUp()
    ask(subscribe('*'))
    for (const value of [1, 2, 3]) {
      price('A', value)
      price(`only ${value}`, value)
      expect(turn(BEHIND)).toEqual([])
    }
    expect(session.conflated).toBe(2)
    expect(turn(0)).toEqual([
      {
        type: 'prices',
        seq: 5,
        data: [priceOf('A', 3), priceOf('only 1', 1), priceOf('only 2', 2), priceOf('only 3', 3)],
      },
    ])
    expect(session.heldBytes).toBe(0)
    price('A', 4)
    expect(turn(0)).toEqual([{ type: 'prices', seq: 6, data: [priceOf('A', 4)] }])
  })

  test('keeps every bar by its start: the closed one does not vanish behind the next open one', () => {
    const { ask, market, turn } = setUp()
    ask({ op: 'subscribe', channel: 'bars', symbols: ['AAPL'] })
    market.bar(bar({ start: 0, trades: 1 }))
    turn(BEHIND)
    market.bar(bar({ start: 0, trades: 2, closed: true }))
    market.bar(bar({ start: 60_000, trades: 1 }))
    turn(BEHIND)
    market.bar(bar({ start: 60_000, trades: 2 }))
    expect(turn(0)).toMatchObject([
      {
        type: 'bars',
        seq: 4,
        data: [
          { start: 0, closed: true },
          { start: 60_000, trades: 2, closed: false },
        ],
      },
    ])
  })

  test('is not told of what it unsubscribed from meanwhile', () => {
    const { session, ask, price, turn } = setUp()
    ask(subscribe('A', 'B'))
    price('A', 1)
    price('B', 2)
    turn(BEHIND)
    ask({ op: 'unsubscribe', channel: 'prices', symbols: ['A'] })
    expect(turn(0)).toMatchObject([{ data: [priceOf('B', 2)] }])
    expect(session.heldBytes).toBe(0)
  })

  test('that subscribes while behind gets the snapshot when it has caught up', () => {
    const { ask, price, turn } = setUp()
    price('A', 1)
    expect(ask(subscribe('A'), BEHIND)).toMatchObject([{ type: 'ack' }])
    expect(turn(BEHIND)).toEqual([])
    expect(turn(0)).toMatchObject([{ type: 'prices', data: [priceOf('A', 1)] }])
  })

  test('holds no more however long it is behind when the same symbols change', () => {
    const { session, ask, price, turn } = setUp()
    ask(subscribe('*'))
    const held: number[] = []
    for (let value = 1_000; value < 3_000; value++) {
      price('A', value)
      price('B', value)
      turn(BEHIND)
      held.push(session.heldBytes)
    }
    expect(new Set(held).size).toBe(1)
  })

  test('is told 407 and closed when what is held back exceeds the bound', () => {
    const { session, ask, price, turn } = setUp()
    ask(subscribe('*'))
    let closed: Record<string, unknown>[] = []
    for (let index = 0; closed.length === 0 && index < 1_000; index++) {
      price(`SYMBOL ${index}`, 1)
      closed = turn(BEHIND)
      expect(session.heldBytes).toBeLessThanOrEqual(LIMITS.maxUnsentBytes + 100)
    }
    expect(closed).toEqual([
      { type: 'error', code: 407, message: expect.stringMatching(/too slow: \d+ updates wait/) as string },
      { kind: 'close', code: 1008, reason: 'slow' },
    ])
    expect(session.heldBytes).toBe(0)
    price('A', 2)
    expect(turn(0)).toEqual([])
    expect(ask({ op: 'ping' })).toEqual([])
  })

  test('is told 407 when the socket holds more than the bound, at a flush as at a request', () => {
    const first = setUp()
    expect(first.turn(10_001)).toMatchObject([{ code: 407 }, { kind: 'close' }])
    const second = setUp()
    expect(second.ask({ op: 'ping' }, 10_001)).toMatchObject([{ code: 407 }, { kind: 'close' }])
  })

  test('is told 407 when it stays behind too long, but not when it catches up in between', () => {
    const { turn } = setUp()
    expect(turn(BEHIND, 0)).toEqual([])
    expect(turn(BEHIND, 29_999)).toEqual([])
    turn(0, 29_999)
    expect(turn(BEHIND, 31_000)).toEqual([])
    expect(turn(BEHIND, 60_999)).toEqual([])
    expect(turn(BEHIND, 61_000)).toMatchObject([{ code: 407 }, { kind: 'close', reason: 'slow' }])
  })

  test('is not taken for dead: that it has read what was sent is a sign of life', () => {
    const { turn } = setUp()
    turn(BEHIND, 10_000)
    turn(BEHIND, 35_000)
    expect(turn(0, 36_000).map(({ kind, type }) => kind ?? type)).toEqual(['heartbeat', 'ping'])
  })
})
