import { afterEach, describe, expect, test } from 'vitest'
import { bar, buildTestApp, MINUTE, NOW, SOURCE, type TestApp } from './testing/fixture.js'

const open: TestApp[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ app }) => app.close()))
})
async function start(...args: Parameters<typeof buildTestApp>): Promise<TestApp> {
  const test = await buildTestApp(...args)
  open.push(test)
  return test
}
const problem = (kind: string, status: number, detail: string) => ({
  type: `urn:candlewick:problem:${kind}`,
  title: expect.any(String) as string,
  status,
  detail: expect.stringContaining(detail) as string,
})
const away = Object.assign(new Error('Cassandra does not answer: all hosts are down'), { kind: 'unavailable' })

describe('live state', () => {
  test('of one symbol is answered by its owner, who is named', async () => {
    const { app, live } = await start()
    const answer = await app.inject('/symbols/AAPL')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({ ...live.symbols.get('AAPL'), source: SOURCE })
  })

  test('is answered while Cassandra is away', async () => {
    const { app, history } = await start()
    history.failure = away
    for (const path of ['/symbols', '/symbols/AAPL', '/symbols/AAPL/avg?window=5m']) {
      expect((await app.inject(path)).statusCode, path).toBe(200)
    }
  })

  test('an average is asked for with its window in milliseconds, and without one for all', async () => {
    const { app, live } = await start()
    expect((await app.inject('/symbols/AAPL/avg?window=5m')).json()).toMatchObject({ windowMs: 300_000, mean: 100.25 })
    expect((await app.inject('/symbols/AAPL/avg?window=all')).json()).toMatchObject({ windowMs: null })
    expect((await app.inject('/symbols/AAPL/avg')).json()).toMatchObject({ windowMs: null, source: SOURCE })
    expect(live.asked.map(({ params }) => params)).toEqual([{ window: '300000' }, {}, {}])
  })

  test('numbers arrive to the bit', async () => {
    const { app, live } = await start()
    const vwap = 0.1 + 0.2
    live.know('AAPL', { average: { ...live.symbols.get('AAPL')!.average, vwap, volume: 1e21, min: 5e-324 } })
    const { average } = (await app.inject('/symbols/AAPL')).json<{ average: Record<string, number> }>()
    expect(average).toMatchObject({ vwap, volume: 1e21, min: 5e-324 })
  })

  test.each(['BINANCE:BTCUSDT', 'FX:EUR/USD', 'IC MARKETS:1', '株式', '%2F', 'a?b#c&d=e', '..', 'x'.repeat(64)])(
    'the symbol %s reaches its owner unchanged',
    async (symbol) => {
      const { app, live } = await start()
      live.know(symbol)
      for (const path of ['', '/avg', '/bars', '/trades']) {
        const answer = await app.inject(`/symbols/${encodeURIComponent(symbol).replace(/^\.\.$/, '%2E%2E')}${path}`)
        if (symbol === '..') expect([200, 404]).toContain(answer.statusCode)
        else expect(answer.json(), path).toMatchObject({ symbol })
      }
    },
  )
})

describe('the list of symbols', () => {
  test('is sorted, and says who answered', async () => {
    const { app, live } = await start()
    live.know('MSFT').know('A').know('BINANCE:BTCUSDT')
    const answer = (await app.inject('/symbols')).json<{ symbols: { symbol: string }[] }>()
    expect(answer.symbols.map(({ symbol }) => symbol)).toEqual(['A', 'AAPL', 'BINANCE:BTCUSDT', 'MSFT'])
    expect(answer).toMatchObject({ sources: [SOURCE] })
    expect(answer).not.toHaveProperty('next')
    expect(answer).not.toHaveProperty('partial')
  })

  test('comes whole and without repeats when paged', async () => {
    const { app, live } = await start()
    const names = Array.from({ length: 25 }, (_, index) => `S${String(index).padStart(2, '0')}`)
    live.symbols.clear()
    for (const name of names) live.know(name)
    const seen: string[] = []
    let after = ''
    for (;;) {
      const page = (await app.inject(`/symbols?limit=7${after}`)).json<{
        symbols: { symbol: string }[]
        next?: string
      }>()
      seen.push(...page.symbols.map(({ symbol }) => symbol))
      expect(page.symbols.length).toBeLessThanOrEqual(7)
      if (page.next === undefined) break
      after = `&after=${page.next}`
    }
    expect(seen).toEqual(names)
    expect((await app.inject('/symbols?after=ZZZ')).json()).toMatchObject({ symbols: [] })
    // The processors are not asked for more than the page and one behind it.
    expect(live.asked.at(-2)).toMatchObject({ name: 'symbols', params: { limit: '8', after: 'S20' } })
  })

  test('says when partitions have no owner, and is 503 when none has', async () => {
    const { app, live } = await start()
    live.away = [4]
    expect((await app.inject('/symbols')).json()).toMatchObject({ partial: true })
    live.away = 'all'
    const answer = await app.inject('/symbols')
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
  })

  test('believes the fresher of two answers about one symbol', async () => {
    const { app, live } = await start()
    const stale = { ...SOURCE, instance: 'processor-2', role: 'standby' as const, staleMs: 900 }
    const fresh = (await live.queryAll<unknown[]>()).results[0]!
    live.queryAll = async <T>() => ({
      results: [
        fresh,
        { result: [{ ...live.symbols.get('AAPL'), last: 1 }], partition: 1, source: stale },
      ] as never as {
        result: T
        partition: number
        source: typeof SOURCE
      }[],
      missingPartitions: [],
    })
    expect((await app.inject('/symbols')).json()).toMatchObject({
      symbols: [{ last: 100.5 }],
      sources: [SOURCE, stale],
    })
  })
})

describe('history', () => {
  test('bars are the kept ones overlaid with the live ones, the open bar last', async () => {
    const { app, live, history } = await start()
    const start0 = NOW - 30_000 - 2 * MINUTE
    history.keptBars.push(bar({ start: start0, closed: true }), bar({ start: start0 + MINUTE, closed: true, close: 1 }))
    live.bars.set('AAPL', [
      bar({ start: start0 + MINUTE, closed: true, revision: 1 }),
      bar({ start: start0 + 2 * MINUTE }),
    ])
    const answer = (await app.inject('/symbols/AAPL/bars')).json<{ bars: unknown[] }>()
    expect(answer).toMatchObject({ symbol: 'AAPL', interval: '1m', source: SOURCE })
    expect(answer.bars).toEqual([
      bar({ start: start0, closed: true }),
      bar({ start: start0 + MINUTE, closed: true, revision: 1 }),
      bar({ start: start0 + 2 * MINUTE }),
    ])
  })

  test('bars come from the history alone, marked partial, while their processor is away', async () => {
    const { app, live, history } = await start()
    history.keptBars.push(bar({ closed: true }))
    live.away = 'all'
    const answer = await app.inject('/symbols/AAPL/bars')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({ symbol: 'AAPL', interval: '1m', bars: [bar({ closed: true })], partial: true })
  })

  test('trades are answered with their sequence, ascending, and without the symbol repeated', async () => {
    const { app, history } = await start()
    const trade = { timestamp: NOW - 5, seq: '1407374883553280', price: 1.5, volume: 2, conditions: ['1', '12'] }
    history.keptTrades.push({ symbol: 'AAPL', ...trade })
    expect((await app.inject('/symbols/AAPL/trades')).json()).toEqual({ symbol: 'AAPL', trades: [trade] })
  })

  test('from takes the first of a range, without from the last are taken', async () => {
    const { app, history } = await start()
    for (const timestamp of [1, 2, 3, 4]) {
      history.keptTrades.push({ symbol: 'AAPL', timestamp, seq: '1', price: 1, volume: 1, conditions: null })
    }
    const times = async (query: string) =>
      (await app.inject(`/symbols/AAPL/trades?${query}`))
        .json<{ trades: { timestamp: number }[] }>()
        .trades.map(({ timestamp }) => timestamp)
    expect(await times('from=2&limit=2')).toEqual([2, 3])
    expect(await times('limit=2')).toEqual([3, 4])
    expect(await times('to=1970-01-01T00:00:00.002Z')).toEqual([1, 2])
  })

  test('is 503 with a reason and Retry-After while Cassandra is away', async () => {
    const { app, history } = await start()
    history.failure = away
    for (const path of ['bars', 'trades']) {
      const answer = await app.inject(`/symbols/AAPL/${path}`)
      expect(answer.statusCode).toBe(503)
      expect(answer.headers['content-type']).toBe('application/problem+json')
      expect(answer.headers['retry-after']).toBe('1')
      expect(answer.json()).toEqual(problem('history-away', 503, 'Cassandra does not answer'))
    }
  })

  test('a range too wide for one answer is refused with the reason', async () => {
    const { app, history } = await start()
    history.failure = Object.assign(new Error('the range spans 900 days'), { kind: 'range-too-wide' })
    const answer = await app.inject('/symbols/AAPL/trades?from=0')
    expect(answer.json()).toEqual(problem('bad-parameter', 400, 'spans 900 days'))
  })

  test('of a symbol only the history knows is answered', async () => {
    const { app, history } = await start()
    history.keptBars.push(bar({ symbol: 'OLD', closed: true }))
    history.keptTrades.push({ symbol: 'OLD', timestamp: 1, seq: '1', price: 1, volume: 1, conditions: null })
    expect((await app.inject('/symbols/OLD/bars')).json<{ bars: unknown[] }>().bars).toHaveLength(1)
    expect((await app.inject('/symbols/OLD/trades')).json<{ trades: unknown[] }>().trades).toHaveLength(1)
  })
})

describe('what cannot be answered', () => {
  test('an unknown symbol is 404', async () => {
    const { app } = await start()
    for (const path of ['', '/avg', '/bars', '/trades']) {
      const answer = await app.inject(`/symbols/NOPE${path}`)
      expect(answer.statusCode, path).toBe(404)
      expect(answer.headers['content-type']).toBe('application/problem+json')
      expect(answer.json()).toEqual(problem('unknown-symbol', 404, '"NOPE"'))
    }
  })

  test('a symbol without an owner is 503 with Retry-After', async () => {
    const { app, live } = await start()
    live.away = 'all'
    for (const path of ['', '/avg']) {
      const answer = await app.inject(`/symbols/AAPL${path}`)
      expect(answer.json()).toEqual(problem('no-owner', 503, 'AAPL has no processor just now'))
      expect(answer.headers['retry-after']).toBe('1')
    }
  })

  test.each([
    ['/symbols/AAPL/avg?window=7s', 'multiple of 5s'],
    ['/symbols/AAPL/avg?window=', 'whole number with its unit'],
    ['/symbols/AAPL/avg?windw=5m', 'there is no parameter "windw" here'],
    ['/symbols/AAPL/avg?window=5m&window=1m', 'window must be string'],
    ['/symbols/AAPL/bars?interval=2m', 'interval must be one of 1m, 5m, 15m, 1h, 1d'],
    ['/symbols/AAPL/bars?limit=0', 'limit must be >= 1'],
    ['/symbols/AAPL/bars?limit=10001', 'limit must be <= 10000'],
    ['/symbols/AAPL/bars?limit=ten', 'limit must be integer'],
    ['/symbols/AAPL/bars?limit=1.5', 'limit must be integer'],
    ['/symbols/AAPL/bars?from=2026-02-30T00:00:00Z', 'from is not a time that exists'],
    ['/symbols/AAPL/bars?from=2026-03-02T00:00:00+02:00', 'in a URL, + is written %2B'],
    ['/symbols/AAPL/trades?from=9&to=8', 'from is later than to'],
    ['/symbols/AAPL/trades?to=soon', 'to must be epoch milliseconds'],
    ['/symbols?limit=-1', 'limit must be >= 1'],
    ['/symbols?limit=1e309', 'limit must be <= 10000'],
    ['/symbols/AAPL/trades?limit=Infinity', 'limit must be <= 10000'],
    ['/symbols/AAPL/bars?limit=-1e309', 'limit must be >= 1'],
    ['/symbols/AAPL?x=1', 'there is no parameter "x" here'],
    ['/symbols/A%0d%0aSet-Cookie:%20a=b', 'printable'],
    ['/symbols/A%00', 'printable'],
    [`/symbols/${'x'.repeat(65)}/avg`, '1 to 64'],
    [`/symbols/${'%E6%A0%AA'.repeat(65)}/avg`, '1 to 64'],
    ['/symbols//avg', 'empty'],
  ])('%s is 400: %s', async (path, reason) => {
    const { app } = await start()
    const answer = await app.inject(path)
    expect(answer.statusCode).toBe(400)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.json()).toEqual(problem('bad-parameter', 400, reason))
  })

  test.each(['/symbols/%ZZ', '/symbols/%E0%A4%A'])('%s, which is no URL, is 400', async (path) => {
    const { app } = await start()
    const answer = await app.inject(path)
    expect(answer.statusCode).toBe(400)
    expect(answer.headers['content-type']).toBe('application/problem+json')
  })

  test('a path longer than any symbol is refused, not looked up', async () => {
    const { app, live } = await start()
    const answer = await app.inject(`/symbols/${'x'.repeat(5_000)}`)
    expect([400, 404, 414]).toContain(answer.statusCode)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(live.asked).toEqual([])
  })

  test('state that is older than asked for is 503, and maxStaleMs reaches the processors', async () => {
    const { app, live } = await start()
    const source = { instance: 'processor-2', role: 'standby', staleMs: 700, generation: 3 } as const
    live.refuse = { kind: 'too-stale', source }
    for (const path of ['/symbols', '/symbols/AAPL', '/symbols/AAPL/avg', '/symbols/AAPL/bars']) {
      const answer = await app.inject(`${path}?maxStaleMs=500`)
      expect(answer.json(), path).toEqual(problem('too-stale', 503, 'processor-2 has'))
      expect(answer.headers['retry-after']).toBe('1')
    }
    expect(live.asked.map(({ maxStaleMs }) => maxStaleMs)).toEqual([500, 500, 500, 500])
    expect((await app.inject('/symbols/AAPL?maxStaleMs=-1')).statusCode).toBe(400)
  })

  test('processors that refuse the token of the API are not taken for absent ones', async () => {
    const { app, live } = await start()
    live.refuse = { kind: 'unauthorized' }
    for (const path of ['/symbols', '/symbols/AAPL', '/symbols/AAPL/avg']) {
      expect((await app.inject(path)).json(), path).toEqual(problem('processors-refuse', 502, 'INTERNAL_TOKEN'))
    }
  })

  test('what a processor refuses is 400 with its reason', async () => {
    const { app, live } = await start()
    live.refuse = { kind: 'bad-request', message: 'window must end somewhere' }
    expect((await app.inject('/symbols/AAPL/avg')).json()).toEqual(problem('bad-parameter', 400, 'must end somewhere'))
  })

  test('an unknown path is 404, another method 405', async () => {
    const { app } = await start()
    expect((await app.inject('/nothing/here')).json()).toEqual(problem('no-such-path', 404, '/docs'))
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'] as const) {
      const answer = await app.inject({ method, url: '/symbols', payload: '{' })
      expect(answer.json()).toEqual(problem('method-not-allowed', 405, 'use GET'))
      expect(answer.headers['allow']).toBe('GET, HEAD')
    }
  })

  test('a mistake of ours is 500 and tells nothing of the inside', async () => {
    const { app, live } = await start()
    live.query = () => Promise.reject(new Error('password=hunter2 at 10.0.0.5'))
    const answer = await app.inject('/symbols/AAPL')
    expect(answer.statusCode).toBe(500)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).not.toMatch(/hunter2|10\.0\.0\.5/)
  })
})

describe('the system', () => {
  test('/topology tells the routing table', async () => {
    const { app, live } = await start()
    expect((await app.inject('/topology')).json()).toEqual(live.routing())
  })

  test('/tasks tells every instance, also one that does not answer', async () => {
    const instances = [
      { instance: 'a', endpoint: 'http://a', tasks: [{ taskId: '0_0', state: 'RUNNING' }] },
      { instance: 'b', endpoint: 'http://b', error: 'connect ECONNREFUSED' },
    ]
    const { app } = await start({}, { instances })
    expect((await app.inject('/tasks')).json()).toEqual({ instances })
  })

  test('/healthz and /readyz tell apart being alive and being of use', async () => {
    const { app } = await start({}, { ready: () => 'Kafka has not been reached yet' })
    expect((await app.inject('/healthz')).statusCode).toBe(200)
    const ready = await app.inject('/readyz')
    expect(ready.statusCode).toBe(503)
    expect(ready.json()).toEqual({ status: 'failing', reason: 'Kafka has not been reached yet' })
  })

  test('/metrics counts requests by route and status, not by what was asked', async () => {
    const { app } = await start()
    await app.inject('/symbols/AAPL/avg')
    await app.inject('/symbols/NOPE/avg')
    await app.inject('/no/such/path')
    const { body } = await app.inject('/metrics')
    expect(body).toContain('candlewick_api_requests_total{method="GET",route="/symbols/:symbol/avg",status="200"} 1')
    expect(body).toContain('candlewick_api_requests_total{method="GET",route="/symbols/:symbol/avg",status="404"} 1')
    expect(body).toContain('candlewick_api_requests_total{method="GET",route="none",status="404"} 1')
    expect(body).toContain('candlewick_api_request_duration_seconds_count{route="/symbols/:symbol/avg"} 2')
    expect(body).not.toMatch(/NOPE|no\/such/)
  })
})

describe('headers', () => {
  test('a browser is told to be careful on every answer', async () => {
    const { app } = await start()
    for (const path of ['/', '/symbols', '/nothing', '/docs/json']) {
      const { headers } = await app.inject(path)
      expect(headers['content-security-policy'], path).toContain("default-src 'self'")
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  test('other origins may read answers only when they are allowed', async () => {
    const { app } = await start({ allowedOrigins: ['https://charts.example'] })
    const ask = async (origin: string) => (await app.inject({ url: '/symbols', headers: { origin } })).headers
    expect((await ask('https://charts.example'))['access-control-allow-origin']).toBe('https://charts.example')
    expect((await ask('https://evil.example'))['access-control-allow-origin']).toBeUndefined()
    const { app: closed } = await start()
    const { headers } = await closed.inject({ url: '/symbols', headers: { origin: 'https://charts.example' } })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  test('nothing a client sends becomes a header of the answer', async () => {
    const { app } = await start()
    const answer = await app.inject({
      url: '/symbols/X%0d%0aX-Injected:%20yes/avg?window=%0d%0aX-Injected:yes',
      headers: { origin: 'https://a.example', host: 'evil', 'x-forwarded-host': 'evil' },
    })
    expect(answer.headers).not.toHaveProperty('x-injected')
    expect(JSON.stringify(answer.headers)).not.toContain('evil')
  })
})

describe('the page', () => {
  test('is a clear text while it was not built', async () => {
    const { app } = await start()
    const answer = await app.inject('/')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toContain('text/plain')
    expect(answer.body).toContain('npm run build')
  })
})
