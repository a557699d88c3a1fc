import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { BarFeed } from './bar-feed.js'
import type { Bar, Interval } from './protocol.js'

const MINUTE = 60_000
const T0 = Date.UTC(2026, 0, 5, 12)

let kept: Bar[] = []
let answer: () => Response
let questions: URLSearchParams[] = []
let drawn: readonly Bar[] = []
let note = ''
let feed: BarFeed | undefined

function bar(start: number, fields: Partial<Bar> = {}): Bar {
  const prices = { open: 10, high: 12, low: 9, close: 11, volume: 100, notional: 1100, vwap: 11 }
  return { symbol: 'AAPL', interval: '1m', start, ...prices, trades: 5, closed: true, revision: 0, ...fields }
}

/** Answers as the API does: with `from` the first ones, without it the last ones. */
function bars(query: URLSearchParams): Response {
  const [from, to, limit] = [query.get('from'), query.get('to'), Number(query.get('limit'))]
  const found = kept.filter(({ start }) => start >= Number(from ?? 0) && start <= Number(to ?? Infinity))
  return Response.json({ bars: from === null ? found.slice(-limit) : found.slice(0, limit) })
}

function open(interval: Interval, lastTradeMs: number | null): BarFeed {
  const listener = {
    onBars: (bars: readonly Bar[]) => void (drawn = bars),
    onNote: (text: string) => void (note = text),
  }
  feed = new BarFeed('AAPL', interval, lastTradeMs, listener)
  feed.start()
  return feed
}

beforeEach(() => {
  vi.useFakeTimers({ now: T0 })
  questions = []
  drawn = []
  answer = () => bars(questions.at(-1)!)
  vi.stubGlobal('document', { baseURI: 'http://api.test/', hidden: false })
  vi.stubGlobal('fetch', async (url: URL) => {
    questions.push(url.searchParams)
    return answer()
  })
})

afterEach(() => {
  feed?.close()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

it('asks for the day around the last trade, not for all there ever was', async () => {
  kept = [bar(T0 - 2 * MINUTE), bar(T0 - MINUTE)]
  open('1m', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(2))
  expect(Number(questions[0]?.get('from'))).toBe(T0 - 26 * 60 * MINUTE)
  expect(feed!.reachesBackTo(T0 - 25 * 60 * MINUTE)).toBe(true)
  expect(note).toBe('')
})

it('asks again only from the newest bars on', async () => {
  kept = [1, 2, 3, 4, 5].map((at) => bar(T0 - (6 - at) * MINUTE, { interval: '5m' }))
  open('5m', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(5))
  kept.push(bar(T0, { interval: '5m', closed: false }))
  await vi.advanceTimersByTimeAsync(2000)
  expect(drawn).toHaveLength(6)
  expect(Number(questions[1]?.get('from'))).toBe(T0 - 3 * MINUTE)
})

it('fetches older bars page by page until there are none', async () => {
  kept = Array.from({ length: 3000 }, (_, at) => bar(T0 - (3000 - at) * MINUTE))
  const opened = open('1m', T0)
  await vi.waitFor(() => expect(drawn.length).toBeGreaterThan(1000))
  for (let page = 0; page < 6; page++) await opened.older()
  expect(drawn).toEqual(kept)
  const asked = questions.length
  await opened.older()
  expect(questions).toHaveLength(asked)
  expect(opened.reachesBackTo(0)).toBe(true)
})

it('looks further back when there is nothing around the last trade', async () => {
  kept = [bar(T0 - 72 * 60 * MINUTE)]
  open('1m', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(1))
})

it('lays the newest minute over the open bar of a longer interval until the next answer', async () => {
  kept = [bar(T0, { interval: '1h', closed: false, volume: 500 })]
  const opened = open('1h', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(1))
  opened.take([bar(T0 + 5 * MINUTE, { closed: false, high: 99, close: 98 })])
  expect(drawn[0]).toMatchObject({ interval: '1h', start: T0, high: 99, low: 9, close: 98, volume: 500 })
})

it('takes live minutes before the history is there, and none of another symbol', async () => {
  answer = () => new Response('{}', { status: 503, headers: { 'retry-after': '2' } })
  const opened = open('1m', T0)
  opened.take([bar(T0, { closed: false }), bar(T0, { symbol: 'MSFT' })])
  expect(drawn).toEqual([bar(T0, { closed: false })])
  await vi.waitFor(() => expect(note).toBe('Bars are being restored, asked again in 2 s.'))
  kept = [bar(T0 - MINUTE)]
  answer = () => bars(questions.at(-1)!)
  await vi.advanceTimersByTimeAsync(1500)
  expect(questions).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(500)
  expect(drawn).toHaveLength(2)
  expect(note).toBe('')
})

it('says that a symbol is unknown and goes on asking', async () => {
  answer = () => new Response('{}', { status: 404 })
  open('1m', null)
  await vi.waitFor(() => expect(note).toContain('No trades of AAPL yet'))
  await vi.advanceTimersByTimeAsync(5000)
  expect(questions).toHaveLength(2)
})

it('asks no more once it is closed', async () => {
  kept = [bar(T0)]
  const opened = open('1m', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(1))
  opened.close()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(questions).toHaveLength(1)
})

it('moves the open bar with the last price until the bar itself says more, and leaves those before it as they are', async () => {
  kept = [bar(T0 - MINUTE), bar(T0, { closed: false })]
  const following = open('1m', T0)
  await vi.waitFor(() => expect(drawn).toHaveLength(2))
  following.takePrice(13, T0 + 5_000)
  expect(drawn).toEqual([kept[0], { ...kept[1], high: 13, close: 13 }])
  expect(following.bars).toBe(drawn)
  const next = bar(T0 + MINUTE, { closed: false, close: 10 })
  following.take([next]) // the price was of the minute before
  expect(drawn).toEqual([...kept, next])
  const newer = bar(T0 + MINUTE, { closed: false, close: 10.5, trades: 6 })
  following.takePrice(10.5, T0 + MINUTE + 1)
  following.take([newer])
  expect(drawn).toEqual([...kept, newer])
})
