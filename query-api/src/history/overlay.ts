import type { Bar } from '@candlewick/schemas/types'
import type { Range } from '../parameters.js'

/** Whether `a` says more about a bar than `b`: closed beats open, then the later revision, then more trades. */
function isNewer(a: Bar, b: Bar): boolean {
  if (a.closed !== b.closed) return a.closed
  if (a.revision !== b.revision) return a.revision > b.revision
  return a.trades > b.trades
}

/**
 * Lays the bars of the processors' stores over those of the history. Of two with the same start the one that says more
 * stays (a standby may be behind the history, the history is always a little behind an active task); of equals the
 * live one, which is exact to the bit.
 * @param kept as asked for by `range`
 * @param live at least those of the stores that `range` asks for; bars that only reach into the range are left out
 * @returns ascending, at most `range.limit`: the first from `range.fromMs`, without that the last
 */
export function overlay(kept: readonly Bar[], live: readonly Bar[], range: Range): Bar[] {
  const byStart = new Map<number, Bar>()
  const { fromMs = 0, toMs, limit } = range
  for (const bar of live) if (bar.start >= fromMs && bar.start <= toMs) byStart.set(bar.start, bar)
  for (const bar of kept) {
    const other = byStart.get(bar.start)
    if (other === undefined || isNewer(bar, other)) byStart.set(bar.start, bar)
  }
  const bars = [...byStart.values()].sort((a, b) => a.start - b.start)
  return range.fromMs === undefined ? bars.slice(-limit) : bars.slice(0, limit)
}
