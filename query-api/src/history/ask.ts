import { ProblemError } from '../problems.js'

/**
 * Waits for an answer of the history and turns its expected failures into problems. They are told by `kind`, which the
 * reader's errors carry: `unavailable` and `range-too-wide`; any other error is a mistake and stays one.
 * @throws ProblemError history-away, bad-parameter
 */
export async function askHistory<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const kind = (error as { kind?: unknown }).kind
    if (kind === 'unavailable') {
      throw new ProblemError('history-away', 'Cassandra does not answer just now: live state does, history will', {
        cause: error,
      })
    }
    if (kind === 'range-too-wide') throw new ProblemError('bad-parameter', (error as Error).message)
    throw error
  }
}
