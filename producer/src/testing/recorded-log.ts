import { inspect } from 'node:util'
import type { Logger } from '@candlewick/service/logger'

export interface LogLine {
  level: string
  message: string
  fields: Record<string, unknown>
}

/** A log that keeps its lines for a test to look at. */
export function recordLog() {
  const lines: LogLine[] = []
  const writer = (level: string) => (fields: Record<string, unknown>, message: string) =>
    lines.push({ level, message, fields })
  const log = Object.fromEntries(['debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, writer(level)]))
  return {
    log: log as unknown as Logger,
    lines,
    /** Everything that was logged, with every property, cause and stack of what it carried. */
    text: () => inspect(lines, { depth: 20, maxStringLength: null, maxArrayLength: null, showHidden: true }),
    of: (message: string | RegExp) => lines.filter((line) => line.message.search(message) >= 0),
  }
}
