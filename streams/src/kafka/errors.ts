import { ERROR_CODES, type ErrorKind } from './protocol/error-codes.js'

export type { ErrorKind }

/** What an error is about. */
export interface Concerns {
  topic?: string
  partition?: number
  groupId?: string
  transactionalId?: string
  /** host:port */
  broker?: string
}

const BY_CODE = new Map(ERROR_CODES.map(([code, name, kind]) => [code, { name, kind }]))
const BY_NAME = new Map(ERROR_CODES.map(([code, name]) => [name, code]))

/** Codes of our own, for what no broker answered. */
const CONNECTION = -2
const CLOSED = -3
const INVALID_ANSWER = -4
const TLS_FAILED = -5
const NOT_SENT = -6

/** The broker gave up or broke after the request may have taken effect. */
const OUTCOME_UNKNOWN = new Set([
  'UNKNOWN_SERVER_ERROR',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
])

/**
 * Anything that went wrong between us and Kafka. `name` is Kafka's own name of the error (protocol/error-codes.ts), or
 * CONNECTION (no connection, or it broke), CLOSED (our client was closed), INVALID_ANSWER (undecodable bytes), TLS_FAILED
 * (one side does not accept the other's certificate, or only one of them speaks TLS), NOT_SENT (its time was up before).
 *
 * KafkaJS drives group membership and looks at `type` and `retriable` of errors, so both are here.
 */
export class KafkaError extends Error {
  readonly code: number
  override readonly name: string
  readonly kind: ErrorKind
  /** True when the request may have taken effect although no answer says so. */
  readonly outcomeUnknown: boolean
  readonly concerns: Concerns

  private constructor(
    identity: { code: number; name: string; kind: ErrorKind; outcomeUnknown: boolean },
    detail: string,
    concerns: Concerns,
    cause?: unknown,
  ) {
    const about = Object.entries(concerns).map(([what, which]) => `${what} ${which}`)
    const text = detail === '' ? '' : `: ${detail}`
    super(
      `${identity.name}${about.length === 0 ? '' : ` (${about.join(', ')})`}${text}`,
      cause === undefined ? {} : { cause },
    )
    this.code = identity.code
    this.name = identity.name
    this.kind = identity.kind
    this.outcomeUnknown = identity.outcomeUnknown
    this.concerns = concerns
  }

  /** The error of a broker's answer. A code this table does not know is fatal. */
  static fromCode(code: number, concerns: Concerns = {}, detail: string | null = ''): KafkaError {
    const { name, kind } = BY_CODE.get(code) ?? { name: `UNKNOWN_CODE_${code}`, kind: 'fatal' as const }
    return new KafkaError({ code, name, kind, outcomeUnknown: OUTCOME_UNKNOWN.has(name) }, detail ?? '', concerns)
  }

  /** An error with one of Kafka's names, raised on our side. */
  static named(name: string, concerns: Concerns = {}, detail = ''): KafkaError {
    const code = BY_NAME.get(name)
    if (code === undefined) throw new RangeError(`Kafka has no error ${name}`)
    return KafkaError.fromCode(code, concerns, detail)
  }

  /** No connection, or it broke. `sent` tells whether the request may have left before. */
  static connection(detail: string, sent: boolean, concerns: Concerns = {}, cause?: unknown): KafkaError {
    const identity = { code: CONNECTION, name: 'CONNECTION', kind: 'retriable' as const, outcomeUnknown: sent }
    return new KafkaError(identity, detail, concerns, cause)
  }

  /** The client was closed while, or before, this was asked. */
  static closed(sent = false): KafkaError {
    return new KafkaError(
      { code: CLOSED, name: 'CLOSED', kind: 'fatal', outcomeUnknown: sent },
      'the client is closed',
      {},
    )
  }

  /** The time for a request was up before it could leave: no broker has seen it, and none is to blame. */
  static notSent(detail: string, concerns: Concerns = {}): KafkaError {
    const identity = { code: NOT_SENT, name: 'NOT_SENT', kind: 'retriable' as const, outcomeUnknown: false }
    return new KafkaError(identity, detail, concerns)
  }

  /** No retry changes a certificate or a protocol: as with a refused login, somebody has to change a setting. */
  static tls(detail: string, concerns: Concerns = {}, cause?: unknown): KafkaError {
    const identity = { code: TLS_FAILED, name: 'TLS_FAILED', kind: 'fatal' as const, outcomeUnknown: false }
    return new KafkaError(identity, detail, concerns, cause)
  }

  /** An answer that could not be decoded, or that lacks what was asked for. */
  static invalidAnswer(detail: string, concerns: Concerns = {}, cause?: unknown): KafkaError {
    const identity = { code: INVALID_ANSWER, name: 'INVALID_ANSWER', kind: 'fatal' as const, outcomeUnknown: true }
    return new KafkaError(identity, detail, concerns, cause)
  }

  /** The same error where an earlier try may have taken effect. */
  withOutcomeUnknown(): KafkaError {
    const { code, name, kind } = this
    return new KafkaError({ code, name, kind, outcomeUnknown: true }, 'after an earlier try', this.concerns, this)
  }

  /** Kafka's name for the error, where KafkaJS looks for it. */
  get type(): string {
    return this.name
  }

  get retriable(): boolean {
    return this.kind === 'retriable'
  }
}

/** Throws the KafkaError of a non-zero error code. */
export function failOn(code: number, concerns: Concerns = {}, detail: string | null = ''): void {
  if (code !== 0) throw KafkaError.fromCode(code, concerns, detail)
}

/** Whether `error` is a KafkaError of one of these names. */
export function isKafkaError(error: unknown, ...names: readonly string[]): error is KafkaError {
  return error instanceof KafkaError && (names.length === 0 || names.includes(error.name))
}

/** Turns whatever KafkaJS or our own code threw into a KafkaError. `sent`: the request may have left before it failed. */
export function toKafkaError(error: unknown, sent: boolean, concerns: Concerns = {}): KafkaError {
  if (error instanceof KafkaError) return error
  if (!(error instanceof Error)) return KafkaError.connection(String(error), sent, concerns)
  const { name, type, code, cause } = error as Error & { type?: unknown; code?: unknown }
  if (typeof type === 'string' && typeof code === 'number') return KafkaError.fromCode(code, concerns, error.message)
  if (typeof code === 'string' && TLS_CODE.test(code)) return KafkaError.tls(tlsReason(error), concerns, error)
  switch (name) {
    case 'KafkaJSRequestTimeoutError':
      return KafkaError.named('REQUEST_TIMED_OUT', concerns, `no answer: ${error.message}`)
    case 'KafkaJSSASLAuthenticationError':
      return KafkaError.named('SASL_AUTHENTICATION_FAILED', concerns, error.message)
    case 'KafkaJSNumberOfRetriesExceeded':
    case 'KafkaJSNonRetriableError':
      return cause instanceof Error ? toKafkaError(cause, sent, concerns) : invariant(error, concerns)
    default:
      return name.startsWith('KafkaJS')
        ? KafkaError.connection(error.message, sent, concerns, error)
        : invariant(error, concerns)
  }
}

/**
 * Node's and OpenSSL's codes of a certificate that was not accepted (https://nodejs.org/api/tls.html, X509 certificate
 * error codes; ERR_SSL_*ALERT*: by the broker), and of a peer that speaks another protocol or version.
 */
const TLS_CODE = /CERT|SELF_SIGNED|^UNABLE_TO_|^ERR_SSL_.*(UNKNOWN_CA|WRONG_VERSION|PROTOCOL_VERSION|HANDSHAKE_FAILURE)/

/** OpenSSL's texts are like `80BC:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:../x.c:1601:...`. */
function tlsReason({ message }: Error): string {
  return /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message
}

/** A mistake in code rather than a failure of the network: it must not look as if a retry could help. */
function invariant(error: Error, concerns: Concerns): KafkaError {
  return KafkaError.invalidAnswer(error.message, concerns, error)
}
