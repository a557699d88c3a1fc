import type { SymbolSummary } from '@candlewick/schemas/queries'
import type { Frame, Tick } from './protocol.js'

/**
 * What the page knows of every symbol, as a pure reduction of the API's answers and frames. States share what did not
 * change, so a row that is the same object as last time needs no drawing.
 */

/** One symbol of the watch list. */
export interface Row {
  readonly symbol: string
  readonly last: number | null
  readonly lastTime: number | null
  /** Counts moves of the price and tells which way the newest went: the watch list flashes when it changes. */
  readonly moves: number
  readonly direction: 'up' | 'down'
  /** When this page last heard a live trade (viewer's clock); null before the first. A snapshot is not a trade. */
  readonly heardAtMs: number | null
  readonly day: DayFigures | null
}

export interface DayFigures {
  readonly start: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly volume: number
  readonly vwap: number | null
  readonly trades: number
}

export interface MarketState {
  readonly rows: ReadonlyMap<string, Row>
  /** Sequence number of the newest frame of this connection; null before the first. */
  readonly lastSeq: number | null
  /** Frames that never arrived, over the life of the page: held back because it read too slowly, merged into later ones. */
  readonly missedFrames: number
}

export const nothingKnown: MarketState = { rows: new Map(), lastSeq: null, missedFrames: 0 }

/** A trade counts as just heard for this long; after it the symbol is called quiet. */
export const QUIET_AFTER_MS = 60_000

const unknownRow = { last: null, lastTime: null, moves: 0, direction: 'up', heardAtMs: null, day: null } as const

/** Takes in one frame of the feed. `nowMs` is the viewer's clock. */
export function withFrame(state: MarketState, frame: Frame, nowMs: number): MarketState {
  switch (frame.type) {
    case 'welcome':
      return { ...state, lastSeq: null } // numbering starts anew with every connection
    case 'prices':
      return withTicks(withSequence(state, frame.seq), frame.data, frame.snapshot === true ? null : nowMs)
    case 'bars':
    case 'heartbeat':
      return withSequence(state, frame.seq)
    default:
      return state
  }
}

/** Every frame takes the next number, those held back too, so a jump says how many never came. */
function withSequence(state: MarketState, seq: number): MarketState {
  const missed = state.lastSeq === null ? 0 : Math.max(0, seq - state.lastSeq - 1)
  return { ...state, lastSeq: Math.max(seq, state.lastSeq ?? seq), missedFrames: state.missedFrames + missed }
}

function withTicks(state: MarketState, ticks: readonly Tick[], heardAtMs: number | null): MarketState {
  if (ticks.length === 0) return state
  const rows = new Map(state.rows)
  for (const tick of ticks) {
    const known = rows.get(tick.symbol) ?? { symbol: tick.symbol, ...unknownRow }
    rows.set(tick.symbol, { ...moved(known, tick.price, tick.time), heardAtMs: heardAtMs ?? known.heardAtMs })
  }
  return { ...state, rows }
}

/** Takes in an answer of `/symbols`. What the feed already told of a later trade stands. */
export function withSummaries(state: MarketState, summaries: readonly SymbolSummary[]): MarketState {
  const rows = new Map(state.rows)
  for (const summary of summaries) {
    const known = rows.get(summary.symbol) ?? { symbol: summary.symbol, ...unknownRow }
    const row =
      summary.last === null || summary.lastTime === null ? known : moved(known, summary.last, summary.lastTime)
    const { day } = summary
    rows.set(summary.symbol, {
      ...row,
      day: day && {
        start: day.start,
        open: day.open,
        high: day.high,
        low: day.low,
        volume: day.volume,
        vwap: day.vwap,
        trades: day.trades,
      },
    })
  }
  return { ...state, rows }
}

function moved(row: Row, price: number, time: number): Row {
  if (row.lastTime !== null && time < row.lastTime) return row
  if (row.last === null || price === row.last) return { ...row, last: price, lastTime: time }
  return { ...row, last: price, lastTime: time, moves: row.moves + 1, direction: price > row.last ? 'up' : 'down' }
}

/** How long ago the symbol last traded, or null while it trades. A replayed day of the past is not quiet: it is heard. */
export function quietFor(row: Row, nowMs: number): number | null {
  if (row.lastTime === null) return null
  if (row.heardAtMs !== null && nowMs - row.heardAtMs < QUIET_AFTER_MS) return null
  const ageMs = nowMs - row.lastTime
  return ageMs < QUIET_AFTER_MS ? null : ageMs
}

export type Order = 'activity' | 'name'

/** Symbols that match what was typed, in the order asked for: most trades today first, or by name. */
export function listed(state: MarketState, typed: string, order: Order): string[] {
  const wanted = typed.trim().toUpperCase()
  const rows = [...state.rows.values()].filter((row) => row.symbol.toUpperCase().includes(wanted))
  const byName = (a: Row, b: Row) => (a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0)
  if (order === 'activity') rows.sort((a, b) => activity(b) - activity(a) || byName(a, b))
  else rows.sort(byName)
  return rows.map((row) => row.symbol)
}

function activity(row: Row): number {
  return row.day?.trades ?? 0
}
