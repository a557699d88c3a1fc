/** The small line beside a price: the last hour in steps of ten seconds. Pure; the watch list draws it. */

const STEP_MS = 10_000
const SPAN_MS = 3_600_000

export interface Sparkline {
  readonly times: number[]
  readonly prices: number[]
}

export function emptySparkline(): Sparkline {
  return { times: [], prices: [] }
}

/** Adds the price at a time, in place: one point a step, nothing older than an hour before the newest; late ones are left out. */
export function addPoint(line: Sparkline, timeMs: number, price: number): void {
  const newest = line.times.at(-1)
  if (newest !== undefined && timeMs < newest) return
  if (newest !== undefined && Math.floor(timeMs / STEP_MS) === Math.floor(newest / STEP_MS)) {
    line.prices[line.prices.length - 1] = price
    return
  }
  line.times.push(timeMs)
  line.prices.push(price)
  let old = 0
  while (line.times[old]! < timeMs - SPAN_MS) old++
  if (old > 0) {
    line.times.splice(0, old)
    line.prices.splice(0, old)
  }
}

/** Points for an SVG polyline of this size, oldest at the left edge; empty when there is no line yet. */
export function polylinePoints(line: Sparkline, width: number, height: number): string {
  const { times, prices } = line
  if (times.length < 2) return ''
  const first = times[0]!
  const spanMs = times.at(-1)! - first
  let low = Infinity
  let high = -Infinity
  for (const price of prices) {
    if (price < low) low = price
    if (price > high) high = price
  }
  const range = high - low
  const points: string[] = []
  for (let i = 0; i < times.length; i++) {
    const x = ((times[i]! - first) / spanMs) * width
    const y = range === 0 ? height / 2 : (1 - (prices[i]! - low) / range) * (height - 2) + 1
    points.push(`${x.toFixed(1)},${y.toFixed(1)}`)
  }
  return points.join(' ')
}
