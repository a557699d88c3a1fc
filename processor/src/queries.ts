import { isInterval, type Interval } from '@candlewick/schemas/intervals'
import {
  MAX_BARS,
  MAX_WINDOW_MS,
  QUERY_STORES,
  WINDOW_STEP_MS,
  type MarketQueryName,
  type SymbolAverage,
  type SymbolSummary,
} from '@candlewick/schemas/queries'
import type { Bar } from '@candlewick/schemas/types'
import { QueryError, type StoredWindow, type TaskView } from '@candlewick/streams'
import type { Query } from '@candlewick/streams/queries/query-server'
import { publishAverage } from './market/average.js'
import { isPriced, publishBar, type BarState } from './market/bar.js'
import { liveBar, type BarSource } from './market/live-bar.js'
import { MINUTE_MS } from './market/minute.js'
import { stretchOf, totalsOf } from './market/moving-average.js'
import { NEVER } from './market/price-point.js'
import { meansOf } from './market/totals.js'
import { averages, longerBars, minutes } from './stores.js'
import { CLOSED_AFTER_MS, type BarWindows } from './topology.js'

/** The interactive queries of the market (schemas/src/queries.ts), each against the committed state of one task. */
export function marketQueries(windows: BarWindows): Record<MarketQueryName, Query> {
  const query = (name: MarketQueryName, ask: Query['ask']): Query => ({ store: { name: QUERY_STORES[name] }, ask })
  return {
    symbols: query('symbols', (view, { params }) => symbolsOf(view, windows, params)),
    symbol: query('symbol', (view, { key }) => summaryOf(view, windows, required(key))),
    average: query('average', (view, { key, params }) => averageOf(view, required(key), params['window'])),
    bars: query('bars', (view, { key, params }) => barsOf(view, windows, required(key), readRange(params))),
  }
}

async function symbolsOf(
  view: TaskView,
  windows: BarWindows,
  { after = '', limit }: Readonly<Record<string, string>>,
): Promise<SymbolSummary[]> {
  const found: SymbolSummary[] = []
  const most = limit === undefined ? Number.POSITIVE_INFINITY : readWhole('limit', limit)
  // Names are cheap, summaries are not: a bar is put together for each.
  for await (const [symbol] of view.keyValue(averages).range({ from: after, limit: most + 1 })) {
    if (symbol === after || found.length >= most) continue
    const summary = summaryOf(view, windows, symbol)
    if (summary !== undefined) found.push(summary)
  }
  return found
}

function required(key: string | undefined): string {
  if (key === undefined) throw new QueryError(400, 'key: a symbol is required')
  return key
}

/** Synchronous, so that all of it belongs to the same commit. */
function summaryOf(view: TaskView, windows: BarWindows, symbol: string): SymbolSummary | undefined {
  const state = view.keyValue(averages).get(symbol)
  if (state === undefined) return undefined
  const average = publishAverage(state, symbol)
  const { last, lastTime } = average
  if (state.newestCloseTime === NEVER) return { symbol, last, lastTime, average, minute: null, day: null }
  const barAt = (interval: Interval) =>
    barFrom(view, windows, symbol, interval, windows[interval].startOf(state.newestCloseTime)) ?? null
  return { symbol, last, lastTime, average, minute: barAt('1m'), day: barAt('1d') }
}

async function averageOf(
  view: TaskView,
  symbol: string,
  windowText: string | undefined,
): Promise<SymbolAverage | undefined> {
  const windowMs = windowText === undefined ? null : readWindow(windowText)
  const state = view.keyValue(averages).get(symbol)
  if (state === undefined) return undefined
  if (windowMs === null) {
    const { oldestTime, newestTime } = state
    return { symbol, windowMs, ...meansOf(state.totals), from: oldestTime, to: newestTime, asOf: newestTime }
  }
  const stretch = stretchOf(windowMs, view.closingClockMs, state.oldestTime)
  const firstMinuteMs = stretch.fromMs - (stretch.fromMs % MINUTE_MS)
  const stored = await view.window(minutes).fetch(symbol, firstMinuteMs, stretch.toMs)
  const { fromMs, toMs } = stretch
  return { symbol, windowMs, ...meansOf(totalsOf(stored, stretch)), from: fromMs, to: toMs, asOf: toMs }
}

interface BarRange {
  interval: Interval
  fromMs: number | undefined
  toMs: number
  limit: number
}

/** With `from` the first `limit` bars from there on, without it the last ones up to `to`: as the history answers. */
async function barsOf(
  view: TaskView,
  windows: BarWindows,
  symbol: string,
  range: BarRange,
): Promise<Bar[] | undefined> {
  if (view.keyValue(averages).get(symbol) === undefined) return undefined
  const { interval, fromMs, toMs, limit } = range
  // Live ones first: one that closes in between is then found in the store, which has the last word.
  const bars = new Map(
    openStarts(view, windows, interval).map((startMs) => [startMs, barFrom(view, windows, symbol, interval, startMs)]),
  )
  for (const stored of await fetchStored(view, windows, symbol, range)) {
    bars.set(stored.startMs, publishStored(stored, symbol, interval))
  }
  const found = [...bars.values()]
    .filter((bar) => bar !== undefined)
    .filter(({ start }) => start >= (fromMs ?? 0) && start <= toMs)
    .sort((a, b) => a.start - b.start)
  return fromMs === undefined ? found.slice(-limit) : found.slice(0, limit)
}

/** The windows that are not closed yet: the one that waits for late trades and the one after it. */
function openStarts(view: TaskView, windows: BarWindows, interval: Interval): number[] {
  const { startOf, endOf } = windows[interval]
  const starts: number[] = []
  const firstMs = startOf(Math.max(0, view.closingClockMs - CLOSED_AFTER_MS))
  for (let startMs = firstMs; startMs <= view.streamTimeMs; startMs = endOf(startMs)) starts.push(startMs)
  return starts
}

/**
 * Bars of a store. Without `from` it looks back as far as `limit` bars reach when there is one for each window, and
 * further only if that was not enough, so that a chart of an hour does not read three days.
 */
async function fetchStored(
  view: TaskView,
  windows: BarWindows,
  symbol: string,
  { interval, fromMs, toMs, limit }: BarRange,
): Promise<StoredWindow<BarState>[]> {
  const { retentionMs } = storeOf(interval)
  const { maxSizeMs } = windows[interval]
  const store = view.window(storeOf(interval))
  if (fromMs !== undefined) return store.fetch(symbol, fromMs, toMs)
  const newestMs = Math.min(toMs, view.streamTimeMs)
  for (let lookBackMs = limit * maxSizeMs; ; lookBackMs *= 4) {
    const found = await store.fetch(symbol, newestMs - lookBackMs, newestMs)
    const priced = found.filter(({ value }) => isPriced(value)).length
    if (priced >= limit || lookBackMs > retentionMs + maxSizeMs) return found
  }
}

function storeOf(interval: Interval) {
  return interval === '1m' ? minutes : longerBars[interval]
}

function storedAt(view: TaskView, symbol: string, interval: Interval, startMs: number) {
  return interval === '1m'
    ? view.window(minutes).get(symbol, startMs)
    : view.window(longerBars[interval]).get(symbol, startMs)
}

/** The bar that begins at `startMs`, open or closed. */
function barFrom(
  view: TaskView,
  windows: BarWindows,
  symbol: string,
  interval: Interval,
  startMs: number,
): Bar | undefined {
  const stored = storedAt(view, symbol, interval, startMs)
  if (stored !== undefined) return publishStored(stored, symbol, interval)
  const source: BarSource = {
    windows,
    stored: (part, partStartMs) => storedAt(view, symbol, part, partStartMs)?.value,
    closedUpToMs: view.closingClockMs - CLOSED_AFTER_MS,
    newestTimeMs: view.streamTimeMs,
  }
  const live = liveBar(source, interval, startMs)
  return live && publishBar(live, { symbol, interval, startMs, closed: false, revision: NEVER })
}

function publishStored(
  { startMs, value, closed, revision }: StoredWindow<BarState>,
  symbol: string,
  interval: Interval,
): Bar | undefined {
  return publishBar(value, { symbol, interval, startMs, closed, revision })
}

function readWindow(text: string): number {
  const windowMs = readWhole('window', text)
  if (windowMs > 0 && windowMs <= MAX_WINDOW_MS && windowMs % WINDOW_STEP_MS === 0) return windowMs
  throw new QueryError(400, `window: must be a multiple of ${WINDOW_STEP_MS} ms up to ${MAX_WINDOW_MS}, not ${text}`)
}

function readRange(params: Readonly<Record<string, string>>): BarRange {
  const { interval, from, to, limit } = params
  if (interval === undefined || !isInterval(interval)) {
    throw new QueryError(400, 'interval: must be one of 1m, 5m, 15m, 1h, 1d')
  }
  const range = {
    interval,
    fromMs: from === undefined ? undefined : readWhole('from', from),
    toMs: to === undefined ? Number.MAX_SAFE_INTEGER : readWhole('to', to),
    limit: limit === undefined ? MAX_BARS : readWhole('limit', limit),
  }
  if (range.limit < 1 || range.limit > MAX_BARS) throw new QueryError(400, `limit: must be 1 to ${MAX_BARS}`)
  return range
}

function readWhole(name: string, text: string): number {
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new QueryError(400, `${name}: must be a whole number, not ${text.slice(0, 40)}`)
}
