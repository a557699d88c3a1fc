/**
 * What travels between a process that answers queries and one that asks: GET requests and JSON over HTTP.
 *
 *     GET /queries/<name>           a query that the application wrote; `key` is a text
 *     GET /stores/<store>/<read>    the store itself (store-reads.ts); `key` is the bytes of the key in base64url
 *     GET /routing                  the assignment as this instance was told it
 *
 * `key=` asks the task that has the key and `partition=` the task of that partition: 200 TaskAnswer. Without either every
 * task of the instance answers: 200 InstanceAnswer. Anything but 200 is a QueryFailure. `isolation=committed|latest` and
 * `maxStaleMs=` may stand in every request; all other parameters are the query's own.
 */

/**
 * With whom a request is meant to speak: `<application id>/<instance id>`. An address may have become somebody else's, of
 * another application even; who is not the one meant says NOT_MINE. Without the header whoever is asked answers.
 */
export const TARGET_HEADER = 'x-streams-target'

/** Who answered, and how surely: an active's answer is current, a standby's at most `staleMs` old. */
export interface QuerySource {
  readonly instance: string
  readonly role: 'active' | 'standby'
  readonly staleMs: number
  /** Of the group's assignment: of two answers the one of the newer generation counts. */
  readonly generation: number
}

/** What one task answers. */
export interface TaskAnswer<T> {
  readonly result: T
  readonly partition: number
  readonly source: QuerySource
}

/** What all tasks of an instance answer. */
export interface InstanceAnswer<T> {
  readonly results: readonly TaskAnswer<T>[]
}

/** With the status each is sent with. */
export const FAILURES = {
  /** A parameter is wrong, or there is no such query or store: nobody else would answer it either. */
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  /** There is no such key. */
  NOT_FOUND: 404,
  /** The task is not here: look at the routing again. */
  NOT_MINE: 421,
  /** Not in the group yet. */
  NOT_READY: 503,
  /** What is here is older than `maxStaleMs`. */
  TOO_STALE: 503,
} as const

/** Why there is no answer. */
export interface QueryFailure {
  readonly code: keyof typeof FAILURES
  readonly message: string
  /** Of the assignment that the instance goes by; -1 before its first. */
  readonly generation?: number
  /** Of NOT_FOUND and TOO_STALE: they are answers too. */
  readonly source?: QuerySource
}
