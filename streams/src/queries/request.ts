import { FAILURES, type QueryFailure } from './protocol.js'
import type { Isolation } from './task-reads.js'
import { QueryError } from './task-view.js'

/** Of whom something is asked: the task that has the key, that of a partition, or all of an instance. */
export type Target =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'partition'; readonly partition: number }
  | { readonly kind: 'all' }

export interface ParsedRequest {
  readonly target: Target
  /** Infinity when any age will do. */
  readonly maxStaleMs: number
  readonly isolation: Isolation
  /** The query's own parameters. */
  readonly params: Readonly<Record<string, string>>
}

/**
 * Takes a query string apart.
 * @throws QueryError when a parameter that all queries share is wrong, or one is given twice
 */
export function parseRequest(query: Readonly<Record<string, unknown>>): ParsedRequest {
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') throw new QueryError(400, `${name}: given more than once`)
  }
  const { key, partition, maxStaleMs, isolation = 'committed', ...params } = query as Record<string, string>
  if (isolation !== 'committed' && isolation !== 'latest') {
    throw new QueryError(400, 'isolation: must be committed or latest')
  }
  return {
    target: targetOf(key, partition),
    maxStaleMs: maxStaleMs === undefined ? Number.POSITIVE_INFINITY : readWhole('maxStaleMs', maxStaleMs),
    isolation,
    params,
  }
}

function targetOf(key: string | undefined, partition: string | undefined): Target {
  if (key !== undefined) return { kind: 'key', key }
  return partition === undefined ? { kind: 'all' } : { kind: 'partition', partition: readWhole('partition', partition) }
}

/** @throws QueryError */
export function readWhole(name: string, text: string): number {
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new QueryError(400, `${name}: must be a whole number, not ${text.slice(0, 40)}`)
}

/** Thrown while a request is answered; told to the caller as it is. */
export class QueryRefusal extends Error {
  readonly status: number
  constructor(readonly failure: QueryFailure) {
    super(failure.message)
    this.name = 'QueryRefusal'
    this.status = FAILURES[failure.code]
  }
}
