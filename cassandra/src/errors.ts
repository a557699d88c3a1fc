import { errors, types } from 'cassandra-driver'

const { responseErrorCodes: code } = types

/** A value that its column cannot hold. */
export class ValueOutOfRange extends RangeError {
  readonly code = 'VALUE_OUT_OF_RANGE'
  constructor(
    readonly column: string,
    value: unknown,
  ) {
    super(`${column} cannot hold ${String(value)}`)
    this.name = 'ValueOutOfRange'
  }
}

/**
 * What to do about a failed write:
 * `retry`: Cassandra is slow, away or overloaded, and will not be some day;
 * `setup`: somebody has to do something first (tables missing, not allowed): retried as well, and told;
 * `never`: this row cannot be written by anybody, whatever happens.
 */
export type WriteFailure = 'retry' | 'setup' | 'never'

/** Messages of an `invalid` answer that are about the tables, not about the values. */
const ABOUT_TABLES = /does not exist|undefined column|unknown (identifier|keyspace|table)|unconfigured/i

/** Only what is certain is `never`: a row too many retried costs lag, a row too many given up costs data. */
export function classifyWriteError(error: unknown): WriteFailure {
  if (error instanceof ValueOutOfRange) return 'never'
  if (error instanceof errors.AuthenticationError) return 'setup'
  if (!(error instanceof errors.ResponseError)) return 'retry'
  switch (error.code) {
    case code.invalid:
      return ABOUT_TABLES.test(error.message) ? 'setup' : 'never'
    case code.unauthorized:
    case code.badCredentials:
    case code.configError:
    case code.syntaxError:
      return 'setup'
    default:
      return 'retry'
  }
}

/** A short code that groups causes: TRUNCATED, VALUE_OUT_OF_RANGE, CASSANDRA_INVALID, ... */
export function codeOf(error: Error): string {
  if (error instanceof errors.ResponseError) {
    const name = Object.entries(code).find(([, value]) => value === error.code)?.[0]
    return `CASSANDRA_${(name ?? String(error.code)).toUpperCase()}`
  }
  const { code: own } = error as { code?: unknown }
  return typeof own === 'string' ? own : error.name
}

/** One line about a driver's error, without its stack, its query and its values. */
export function reasonOf(error: unknown): string {
  if (error instanceof errors.NoHostAvailableError) {
    const hosts = Object.entries((error.innerErrors ?? {}) as Record<string, unknown>)
    const each = hosts.map(([host, cause]) => `${host}: ${cause instanceof Error ? cause.message : 'is down'}`)
    return each.length > 0 ? each.join('; ') : error.message
  }
  return error instanceof Error ? error.message : String(error)
}
