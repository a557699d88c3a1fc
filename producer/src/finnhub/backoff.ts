/** How one connection (or the attempt at one) ended. */
export type Ending =
  /** The handshake was answered with this HTTP status instead of an upgrade. */
  | { readonly kind: 'refused'; readonly status: number; readonly retryAfterMs: number | undefined }
  /** No answer: name resolution, TCP, TLS, a proxy, a time limit. */
  | { readonly kind: 'unreachable'; readonly detail: string }
  /** It was open and was closed, by them or by the network. */
  | { readonly kind: 'closed'; readonly detail: string }
  /** It was open and nothing came for the watchdog's time. */
  | { readonly kind: 'silent'; readonly detail: string }

const BASE_MS = 1_000
const CAP_MS = 60_000
const TOO_MANY_BASE_MS = 10_000
const TOO_MANY_CAP_MS = 300_000
const WRONG_KEY_MS = 300_000
const MAX_RETRY_AFTER_MS = 900_000

/** Only a connection that lasted this long makes the next wait short again: one that is closed at once is no success. */
export const STABLE_AFTER_MS = 60_000

/**
 * How long to wait before the next attempt: full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
 * 1 s growing to 60 s; longer after 429 (and never less than its Retry-After), long after a refused key.
 * @param failures attempts and short-lived connections in a row, 1 for the first
 * @param chance from 0 to 1
 */
export function retryDelayMs(ending: Ending, failures: number, chance: number): number {
  if (ending.kind === 'refused' && ending.status === 401) return WRONG_KEY_MS * (0.5 + chance / 2)
  if (ending.kind === 'refused' && ending.status === 429) {
    const asked = Math.min(ending.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS)
    return Math.max(asked, TOO_MANY_BASE_MS) + jitter(TOO_MANY_BASE_MS, TOO_MANY_CAP_MS, failures, chance)
  }
  return jitter(BASE_MS, CAP_MS, failures, chance)
}

function jitter(baseMs: number, capMs: number, failures: number, chance: number): number {
  return chance * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30))
}

/** Retry-After as RFC 9110 has it: seconds or a date. */
export function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const seconds = Number(header)
  if (header.trim() !== '' && Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}
