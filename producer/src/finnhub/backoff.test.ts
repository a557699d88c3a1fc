import { describe, expect, it } from 'vitest'
import { readRetryAfter, retryDelayMs, type Ending } from './backoff.js'

const closed: Ending = { kind: 'closed', detail: '' }
const refused = (status: number, retryAfterMs?: number): Ending => ({ kind: 'refused', status, retryAfterMs })

describe('the wait before the next connection', () => {
  it('has full jitter: anything from nothing to a limit that doubles from 1 s to 60 s', () => {
    const limits = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((failures) => retryDelayMs(closed, failures, 1))
    expect(limits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect(retryDelayMs(closed, 8, 0)).toBe(0)
    expect(retryDelayMs(closed, 8, 0.25)).toBe(15_000)
  })

  it.each([200, 502, 503])('is the same when the handshake is answered with %i', (status) => {
    expect(retryDelayMs(refused(status), 3, 1)).toBe(retryDelayMs(closed, 3, 1))
  })

  it('is longer after 429, and never less than what it asks for', () => {
    expect(retryDelayMs(refused(429), 1, 0)).toBeGreaterThanOrEqual(10_000)
    expect(retryDelayMs(refused(429, 120_000), 1, 0)).toBeGreaterThanOrEqual(120_000)
    expect(retryDelayMs(refused(429, 120_000), 1, 1)).toBeGreaterThan(120_000)
    expect(retryDelayMs(refused(429, Number.MAX_VALUE), 1, 0)).toBe(900_000)
  })

  it('is minutes after a key was refused that had been good', () => {
    expect(retryDelayMs(refused(401), 1, 0)).toBe(150_000)
    expect(retryDelayMs(refused(401), 1, 1)).toBe(300_000)
  })
})

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1)
  it.each([
    ['120', 120_000],
    ['0', 0],
    ['-5', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %s ms', (header, ms) => {
    expect(readRetryAfter(header, now)).toBe(ms)
  })
})
