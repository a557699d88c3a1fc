import type { QuerySource } from '@candlewick/streams/queries/protocol'
import type { QueryOutcome } from '@candlewick/streams/queries/query-client'
import type { LiveState } from '../dependencies.js'
import { ProblemError } from '../problems.js'

/**
 * Asks the processor that owns the symbol.
 * @throws ProblemError unknown-symbol, no-owner, bad-parameter
 */
export async function askOwner<T>(
  live: LiveState,
  name: string,
  symbol: string,
  params?: Record<string, string>,
): Promise<{ result: T; source: QuerySource }> {
  const answer = await live.query<T>(name, symbol, params)
  if (answer.kind === 'ok') return { result: answer.result, source: answer.source }
  throw problemOf(answer, symbol)
}

/** The problem an answer without a result is. */
export function problemOf(answer: Exclude<QueryOutcome<unknown>, { kind: 'ok' }>, symbol: string): ProblemError {
  switch (answer.kind) {
    case 'not-found':
      return unknownSymbol(symbol)
    case 'bad-request':
      return new ProblemError('bad-parameter', answer.message)
    case 'no-owner':
      return new ProblemError('no-owner', `${symbol} has no processor just now (a rebalance or a failover): ask again`)
  }
}

export function unknownSymbol(symbol: string): ProblemError {
  return new ProblemError('unknown-symbol', `there has been no trade of ${JSON.stringify(symbol)}`)
}
