/** What travels between a process that answers queries and one that asks: JSON over HTTP. */

/** Who answered, and how surely: an active's answer is current, a standby's at most `staleMs` old. */
export interface QuerySource {
  readonly instance: string
  readonly role: 'active' | 'standby'
  readonly staleMs: number
  /** Of the group's assignment: of two answers the one of the newer generation counts. */
  readonly generation: number
}

/** GET /queries/<name>?key=<key>&... -> 200 */
export interface QueryAnswer<T> {
  readonly result: T
  readonly source: QuerySource
}

/** GET /queries/<name>?... without a key -> 200: one result per task of the instance */
export interface QueryAllAnswer<T> {
  readonly results: readonly { readonly result: T; readonly partition: number; readonly source: QuerySource }[]
}

/** Anything but 200. NOT_FOUND 404, BAD_REQUEST 400, NOT_MINE 421, NOT_READY 503, UNAUTHORIZED 401. */
export interface QueryFailure {
  readonly code: 'NOT_FOUND' | 'BAD_REQUEST' | 'NOT_MINE' | 'NOT_READY' | 'UNAUTHORIZED'
  readonly message: string
  readonly generation?: number
  readonly source?: QuerySource
}
