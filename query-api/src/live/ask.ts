import type { QuerySource } from '@candlewick/streams/queries/protocol'
import type { NoAnswer } from '@candlewick/streams/queries/outcomes'
import type { AskOptions } from '@candlewick/streams/queries/query-client'
import type { LiveState } from '../dependencies.js'
import { ProblemError } from '../problems.js'

/**
 * Asks the processor that owns the symbol, or one that stands by for it.
 * @throws ProblemError unknown-symbol, no-owner, too-stale, processors-refuse, bad-parameter
 */
export async function askOwner<T>(
  live: LiveState,
  name: string,
  symbol: string,
  options?: AskOptions & { params?: Record<string, string> },
): Promise<{ result: T; source: QuerySource }> {
  const answer = await live.query<T>(name, symbol, options)
  if (answer.kind === 'ok') return { result: answer.result, source: answer.source }
  throw answer.kind === 'not-found' ? unknownSymbol(symbol) : problemOf(answer, symbol)
}

/**
 * The problem it is when there is no answer.
 * @param what was asked about
 */
export function problemOf(answer: NoAnswer, what: string): ProblemError {
  switch (answer.kind) {
    case 'bad-request':
      return new ProblemError('bad-parameter', answer.message)
    case 'no-owner':
      return new ProblemError('no-owner', `${what} has no processor just now (a rebalance or a failover): ask again`)
    case 'too-stale': {
      const { instance, staleMs } = answer.source
      return new ProblemError(
        'too-stale',
        `what ${instance} has of ${what} may be ${staleMs} ms old, which is more than maxStaleMs`,
      )
    }
    case 'unauthorized':
      return new ProblemError('processors-refuse', 'the API and the processors do not have the same INTERNAL_TOKEN')
  }
}

export function unknownSymbol(symbol: string): ProblemError {
  return new ProblemError('unknown-symbol', `there has been no trade of ${JSON.stringify(symbol)}`)
}
