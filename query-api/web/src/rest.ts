import type { SymbolAverage, SymbolSummary } from '@candlewick/schemas/queries'
import type { Bar, Interval } from './protocol.js'

/** The API's REST answers. Addresses are relative to the page, so it works behind any prefix. */

export type Answer<T> =
  | { kind: 'ok'; value: T }
  /** 503: nobody can answer for it right now; ask again after that time. */
  | { kind: 'restoring'; retryAfterMs: number }
  | { kind: 'not-found' }
  | { kind: 'refused'; detail: string }
  /** No answer at all, or not one of the API's. */
  | { kind: 'away' }

export interface Source {
  instance: string
  role: 'active' | 'standby'
  staleMs: number
}

export type AverageAnswer = SymbolAverage & { source?: Source }
export type AverageWindow = '1m' | '5m' | '1h' | 'all'
export const AVERAGE_WINDOWS: readonly AverageWindow[] = ['1m', '5m', '1h', 'all']

const TIMEOUT_MS = 10_000

/** All symbols the API knows, page by page; partial when some of them have no owner right now. */
export async function getSymbols(signal: AbortSignal): Promise<Answer<{ symbols: SymbolSummary[]; partial: boolean }>> {
  const symbols: SymbolSummary[] = []
  let partial = false
  let after: string | undefined
  do {
    const path = `symbols${after === undefined ? '' : `?after=${encodeURIComponent(after)}`}`
    const answer = await get<{ symbols: SymbolSummary[]; partial?: boolean; next?: string | null }>(path, signal)
    if (answer.kind !== 'ok') return answer
    symbols.push(...answer.value.symbols)
    partial ||= answer.value.partial === true
    after = answer.value.next ?? undefined
  } while (after !== undefined)
  return { kind: 'ok', value: { symbols, partial } }
}

/** Ascending bars: the first `limit` from `fromMs` on, or without it the last `limit` up to `toMs` (now, when absent). */
export function getBars(
  symbol: string,
  interval: Interval,
  range: { limit: number; fromMs?: number; toMs?: number },
  signal: AbortSignal,
): Promise<Answer<{ bars: Bar[]; partial?: boolean }>> {
  const from = range.fromMs === undefined ? '' : `&from=${Math.max(0, range.fromMs)}`
  const to = range.toMs === undefined ? '' : `&to=${range.toMs}`
  return get(`symbols/${encodeURIComponent(symbol)}/bars?interval=${interval}&limit=${range.limit}${from}${to}`, signal)
}

/** Where one symbol stands. */
export function getSymbol(symbol: string, signal: AbortSignal): Promise<Answer<SymbolSummary>> {
  return get(`symbols/${encodeURIComponent(symbol)}`, signal)
}

export function getAverage(symbol: string, window: AverageWindow, signal: AbortSignal): Promise<Answer<AverageAnswer>> {
  return get(`symbols/${encodeURIComponent(symbol)}/avg?window=${window}`, signal)
}

async function get<T>(path: string, signal: AbortSignal): Promise<Answer<T>> {
  try {
    const response = await fetch(new URL(path, document.baseURI), {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    })
    if (response.ok) return { kind: 'ok', value: (await response.json()) as T } // the page and the API are one release
    if (response.status === 503 || response.status === 429) {
      return { kind: 'restoring', retryAfterMs: retryAfterMs(response.headers.get('retry-after')) }
    }
    if (response.status === 404) return { kind: 'not-found' }
    if (response.status >= 500) return { kind: 'away' }
    const problem = (await response.json()) as { detail?: string; title?: string }
    return { kind: 'refused', detail: problem.detail ?? problem.title ?? response.statusText }
  } catch {
    return { kind: 'away' } // refused, cut off, timed out, or not JSON: for the viewer it is the same
  }
}

/** Retry-After in seconds; a second when it is absent or a date. */
function retryAfterMs(header: string | null): number {
  const seconds = Number(header)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1000 : 1000
}

/**
 * Asks again and again until aborted: `ask` says after how many ms. Nobody is asked while the page is hidden; once it is
 * seen again the next question comes at once.
 */
export async function poll(signal: AbortSignal, ask: () => Promise<number>): Promise<void> {
  while (!signal.aborted) {
    const waitMs = await ask()
    await pause(waitMs, signal)
    while (!signal.aborted && document.hidden) await nextVisibilityChange(signal)
  }
}

/** Lets at most `atOnce` questions be under way; the others wait in line, so that they hold up nothing more important. */
export function inLine(atOnce: number): <T>(ask: () => Promise<T>) => Promise<T> {
  let free = atOnce
  const waiting: (() => void)[] = []
  return async (ask) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await ask()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}

/** Wait before asking again after a failure: doubles from one second to fifteen, with jitter. */
export function retryDelayMs(failures: number): number {
  const ceilingMs = Math.min(15_000, 1000 * 2 ** Math.min(failures, 4))
  return ceilingMs / 2 + (Math.random() * ceilingMs) / 2
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

function nextVisibilityChange(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      document.removeEventListener('visibilitychange', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    document.addEventListener('visibilitychange', done)
    signal.addEventListener('abort', done)
  })
}
