/** What can go wrong in an application, by code; the message says what to do. */
export type StreamsErrorCode =
  | 'PROCESSING' // user code threw, again and again
  | 'DESERIALIZATION' // a record cannot be decoded, or a check refused it, and the application is to stop then
  | 'PRODUCTION' // a record cannot be written: it cannot be encoded, or no broker takes it
  | 'HANDLER' // an error handler threw, or answered something else than it may
  | 'STATE' // local state cannot be used
  | 'STATE_DAMAGED' // local state was found damaged while it was used: it is dropped and restored
  | 'TOPICS' // topics are missing or do not fit the topology
  | 'OFFSETS_LOST' // the group's offsets are gone while there is state
  | 'CHANGELOG_LOST' // a changelog lacks what was committed into it
  | 'RESET_UNFINISHED' // `streams reset` was interrupted: it has to run to its end
  | 'LOCKED' // another process uses the state directory
  | 'DUPLICATE_INSTANCE' // another live process has the same instance id

/** What an error is about, as far as it is known. */
export interface Concerns {
  task?: string
  topic?: string
  partition?: number
  offset?: number
  store?: string
  /** What failed in the topology: `sink averages`. */
  node?: string
  /** The key of a store's entry, as text. */
  key?: string
}

/** An error of the runtime with what it concerns. */
export class StreamsError extends Error {
  constructor(
    readonly code: StreamsErrorCode,
    message: string,
    readonly concerns: Concerns = {},
    options?: { cause?: unknown },
  ) {
    super(message, options)
    this.name = 'StreamsError'
  }
}

/** A text for a log line or a header, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A short code that groups causes, for a header or a label: the error's own, else its name. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Error'
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : error.name
}
