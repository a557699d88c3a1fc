import { pino, type Logger } from 'pino'

export type { Logger }

/** Fields that may carry a secret are struck out wherever a log line has them, one level deep included. */
const SECRET_FIELDS = ['password', 'token', 'apiKey', 'authorization', 'secret', 'sasl']

/**
 * The log of one process: JSON lines on stdout.
 * @param name the process, e.g. `producer`
 * @param level pino's level: debug, info, warn, error, silent
 */
export function createLogger(name: string, level = 'info'): Logger {
  return pino({
    name,
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[secret]' },
  })
}
