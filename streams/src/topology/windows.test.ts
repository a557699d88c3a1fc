import { describe, expect, it } from 'vitest'
import { calendarDays, tumbling } from './windows.js'

const HOUR_MS = 3_600_000

describe('tumbling windows', () => {
  it('are aligned to the epoch and touch each other', () => {
    const windows = tumbling({ sizeMs: 60_000, graceMs: 0 })
    expect(windows.startOf(59_999)).toBe(0)
    expect(windows.startOf(60_000)).toBe(60_000)
    expect(windows.endOf(60_000)).toBe(120_000)
  })

  it('refuse sizes and graces that mean nothing', () => {
    expect(() => tumbling({ sizeMs: 0, graceMs: 0 })).toThrow(RangeError)
    expect(() => tumbling({ sizeMs: 1, graceMs: -1 })).toThrow(RangeError)
  })
})

describe('calendar days', () => {
  it('are UTC days by UTC', () => {
    const days = calendarDays({ timeZone: 'UTC', graceMs: 0 })
    const noon = Date.UTC(2026, 10, 21, 12)
    expect(days.startOf(noon)).toBe(Date.UTC(2026, 10, 21))
    expect(days.endOf(days.startOf(noon))).toBe(Date.UTC(2026, 10, 22))
  })

  it.each([
    ['America/New_York', Date.UTC(2026, 2, 8, 12), Date.UTC(2026, 2, 8, 5), 23],
    ['America/New_York', Date.UTC(2026, 10, 1, 12), Date.UTC(2026, 10, 1, 4), 25],
    ['America/New_York', Date.UTC(2026, 6, 1, 12), Date.UTC(2026, 6, 1, 4), 24],
    ['Europe/Berlin', Date.UTC(2026, 2, 29, 12), Date.UTC(2026, 2, 28, 23), 23],
    ['Europe/Berlin', Date.UTC(2026, 9, 25, 12), Date.UTC(2026, 9, 24, 22), 25],
    // The clocks skip midnight: the day begins at one.
    ['America/Havana', Date.UTC(2026, 2, 8, 12), Date.UTC(2026, 2, 8, 5), 23],
  ])('in %s around %i begin at %i and last %i hours', (timeZone, at, start, hours) => {
    const days = calendarDays({ timeZone, graceMs: 0 })
    expect(days.startOf(at)).toBe(start)
    expect((days.endOf(start) - start) / HOUR_MS).toBe(hours)
  })

  it('leave no gap over two years of any hour', () => {
    const days = calendarDays({ timeZone: 'America/New_York', graceMs: 0 })
    let start = days.startOf(Date.UTC(2025, 0, 1))
    while (start < Date.UTC(2027, 0, 1)) {
      const end = days.endOf(start)
      expect(days.startOf(end - 1)).toBe(start)
      expect(days.startOf(end)).toBe(end)
      start = end
    }
  })

  it.each(['America/New_York', 'Asia/Tokyo', 'UTC'])(
    'begin with the epoch in %s: none begins before it',
    (timeZone) => {
      const days = calendarDays({ timeZone, graceMs: 0 })
      expect(days.startOf(0)).toBe(0)
      const end = days.endOf(0)
      expect(days.startOf(end - 1)).toBe(0)
      expect(days.startOf(end)).toBe(end)
      expect(end).toBeLessThanOrEqual(24 * HOUR_MS)
      expect(days.endOf(end) - end).toBe(24 * HOUR_MS)
    },
  )

  it('hold every moment in the day that has it, also where the clocks went back at one minute past midnight', () => {
    const days = calendarDays({ timeZone: 'America/Goose_Bay', graceMs: 0 })
    const midnight = Date.UTC(2010, 10, 7, 3)
    for (let at = midnight - HOUR_MS; at < midnight + 3 * HOUR_MS; at += 60_000) {
      days.startOf(0) // what it found last is not found again
      expect(days.startOf(at), new Date(at).toISOString()).toBe(at < midnight ? midnight - 24 * HOUR_MS : midnight)
    }
  })

  it.each([
    ['Asia/Singapore', 1981],
    ['America/Caracas', 2007],
    ['America/Caracas', 2016],
    ['Asia/Pyongyang', 2015],
    ['Asia/Pyongyang', 2018],
  ])('leave no gap in whole hours in %s in %s, when it was not whole hours off UTC', (timeZone, year) => {
    const days = calendarDays({ timeZone, graceMs: 0 })
    const until = Date.UTC(year + 1, 6, 1)
    for (let startMs = days.startOf(Date.UTC(year, 0, 1)); startMs < until; startMs = days.endOf(startMs)) {
      const endMs = days.endOf(startMs)
      expect(startMs % HOUR_MS).toBe(0)
      expect(endMs - startMs).toBeGreaterThanOrEqual(23 * HOUR_MS)
      expect(endMs - startMs).toBeLessThanOrEqual(days.maxSizeMs)
      for (let at = startMs; at < endMs; at += HOUR_MS / 2) expect(days.startOf(at)).toBe(startMs)
    }
  })

  it('refuse a zone that is not whole hours off UTC, and one that does not exist', () => {
    expect(() => calendarDays({ timeZone: 'Asia/Kolkata', graceMs: 0 })).toThrow(/whole hours/)
    expect(() => calendarDays({ timeZone: 'Mars/Olympus', graceMs: 0 })).toThrow(RangeError)
  })
})
