import type { Bar } from './types.js'

/** The lengths bars come in, ascending. Each is merged from the one before it. */
export const INTERVALS = ['1m', '5m', '15m', '1h', '1d'] as const satisfies readonly Bar['interval'][]
export type Interval = (typeof INTERVALS)[number]

export function isInterval(text: string): text is Interval {
  return (INTERVALS as readonly string[]).includes(text)
}
