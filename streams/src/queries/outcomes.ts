import type { Reply } from './instance-requests.js'
import type { QuerySource } from './protocol.js'

/** Why there is no answer. */
export type NoAnswer =
  | { readonly kind: 'bad-request'; readonly message: string }
  /** Nobody answers just now: the task is between two owners, or all who have it are dead or silent. Ask again. */
  | { readonly kind: 'no-owner' }
  /** There is an answer, but an older one than `maxStaleMs`. */
  | { readonly kind: 'too-stale'; readonly source: QuerySource }
  /** The instances refuse our token: a matter of configuration, asking again does not help. */
  | { readonly kind: 'unauthorized' }

/** What came of a question about one key. */
export type QueryOutcome<T> =
  | { readonly kind: 'ok'; readonly result: T; readonly source: QuerySource }
  | { readonly kind: 'not-found'; readonly source: QuerySource }
  | NoAnswer

/** What came of a question about every partition. */
export interface AllOutcome<T> {
  readonly results: readonly { readonly result: T; readonly partition: number; readonly source: QuerySource }[]
  /** Partitions nobody answered for. */
  readonly missingPartitions: readonly number[]
  /** Why something is missing, when it is; also when not even the partitions are known. */
  readonly because?: NoAnswer
}

/**
 * An active's answer is as good as it gets; of others the newer generation counts, then the fresher state.
 * @internal
 */
export function valueOf(reply: Reply): number {
  switch (reply.kind) {
    case 'bad-request':
      return Number.POSITIVE_INFINITY
    case 'answer':
    case 'not-found': {
      const { role, generation, staleMs } = reply.source
      return role === 'active' ? Number.POSITIVE_INFINITY : generation + 2 + 1 / (1 + staleMs)
    }
    default:
      return 0
  }
}

/** @internal */
export function outcomeOf<T>(reply: Reply): QueryOutcome<T> {
  switch (reply.kind) {
    case 'answer':
      return { kind: 'ok', result: reply.result as T, source: reply.source }
    case 'not-found':
    case 'bad-request':
      return reply
    default:
      throw new Error(`${reply.kind} is no answer`)
  }
}

/**
 * What to say of a round in which nobody answered.
 * @internal
 */
export function reasonOf(refusals: readonly Reply[]): NoAnswer | undefined {
  const stale = refusals.filter((reply) => reply.kind === 'too-stale')
  const [freshest] = stale.sort((a, b) => a.source.staleMs - b.source.staleMs)
  if (freshest !== undefined) return freshest
  if (refusals.some(({ kind }) => kind === 'unauthorized')) return { kind: 'unauthorized' }
  return refusals.length > 0 ? { kind: 'no-owner' } : undefined
}

const GRAVITY: Readonly<Record<NoAnswer['kind'], number>> = {
  'no-owner': 0,
  'too-stale': 1,
  'bad-request': 2,
  unauthorized: 3,
}

/** Of several reasons the one to tell. */
export function gravest(reasons: readonly NoAnswer[]): NoAnswer | undefined {
  return [...reasons].sort((a, b) => GRAVITY[b.kind] - GRAVITY[a.kind])[0]
}

/** @internal */
export function isNoAnswer(outcome: QueryOutcome<unknown>): outcome is NoAnswer {
  return outcome.kind in GRAVITY
}

/** @internal */
export function noStore(store: string): NoAnswer {
  return { kind: 'bad-request', message: `the application has no store '${store}'` }
}
