import { createRandom } from '@candlewick/dev/exchange/random'
import { between } from './chance.js'

/** The load is cut into slots of so much wall clock. */
export const SLOT_MS = 100

/** What is sent in one slot. */
export interface Slot {
  readonly records: number
  /** Partitions that get nothing now. */
  readonly idle: ReadonlySet<number>
}

export interface ScheduleOptions {
  seed: string
  records: number
  durationMs: number
  partitions: number
}

const BURST = 5

/**
 * How the records spread over the run: bursts of five times the usual rate, pauses without any, and stretches in which
 * some partitions are idle, longer than a session lasts.
 */
export function schedule({ seed, records, durationMs, partitions }: ScheduleOptions): Slot[] {
  const random = createRandom(`${seed}/schedule`)
  const count = Math.max(1, Math.floor(durationMs / SLOT_MS))
  const weights: number[] = []
  while (weights.length < count) {
    const kind = random()
    const weight = kind < 0.12 ? BURST : kind < 0.24 ? 0 : 0.5 + random()
    const lastsMs = between(random, weight === 1 ? [2_000, 15_000] : weight === BURST ? [500, 3_000] : [1_000, 6_000])
    for (let at = 0; at < lastsMs / SLOT_MS && weights.length < count; at++) weights.push(weight)
  }
  const idle: ReadonlySet<number>[] = []
  while (idle.length < count) {
    const quiet = random() < 0.4 ? between(random, [1, Math.max(1, partitions - 2)]) : 0
    const set = new Set(Array.from({ length: quiet }, () => between(random, [0, partitions - 1])))
    const lastsMs = between(random, [8_000, 25_000])
    for (let at = 0; at < lastsMs / SLOT_MS && idle.length < count; at++) idle.push(set)
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let before = 0
  let sum = 0
  return weights.map((weight, at) => {
    sum += weight
    const upTo = total === 0 ? Math.round((records * (at + 1)) / count) : Math.round((records * sum) / total)
    const slot = { records: upTo - before, idle: idle[at]! }
    before = upTo
    return slot
  })
}
