/** From `startMs` (inclusive) to `endMs` (exclusive), epoch milliseconds. */
export interface Window {
  readonly startMs: number
  readonly endMs: number
}

/** How time is cut into windows that touch and never overlap. */
export interface Windows {
  /** Start of the window that holds a moment; called for every record, so it makes no object. */
  startOf(timestampMs: number): number
  /** End of the window that begins at `startMs`. */
  endOf(startMs: number): number
  /** The longest a window of this kind can be. */
  readonly maxSizeMs: number
  /** How long after its end a window still takes records, in stream time; what comes later is counted and left out. */
  readonly graceMs: number
  /** For `Topology.describe()`. */
  readonly description: string
}

const HOUR_MS = 3_600_000
/** In these years a zone has to be whole hours off UTC: of late, and as far ahead as zone data go. */
const WHOLE_HOURS_IN = { first: 2020, last: 2037 }

/**
 * Windows of one size, aligned to the epoch (Kafka Streams' TimeWindows without advance).
 * @throws RangeError when the size is not a positive whole number or the grace is negative
 */
export function tumbling({ sizeMs, graceMs }: { sizeMs: number; graceMs: number }): Windows {
  if (!Number.isSafeInteger(sizeMs) || sizeMs <= 0) throw new RangeError(`window size must be a positive number of ms`)
  checkGrace(graceMs)
  return {
    startOf: (timestampMs) => timestampMs - (timestampMs % sizeMs),
    endOf: (startMs) => startMs + sizeMs,
    maxSizeMs: sizeMs,
    graceMs,
    description: `tumbling ${sizeMs} ms, grace ${graceMs} ms`,
  }
}

/**
 * Calendar days of a time zone: 23 or 25 hours long where the clocks change.
 * Days are made of whole hours, so only zones are taken that are whole hours off UTC. For a time in which one was not, long
 * ago (Asia/Singapore until 1981, 7:30), days begin as if it had been the whole hours below (7:00).
 * @throws RangeError for a zone the platform does not know or that is not whole hours off
 */
export function calendarDays({ timeZone, graceMs }: { timeZone: string; graceMs: number }): Windows {
  checkGrace(graceMs)
  const clock = zoneClock(timeZone)
  let known: Window = { startMs: 0, endMs: 0 }

  function dayOf(timestampMs: number): Window {
    if (timestampMs >= known.startMs && timestampMs < known.endMs) return known
    const startMs = clock.startOfDay(timestampMs)
    // Outside UTC the day of the epoch began before it: there are no windows before 0, so that one is shorter.
    known = { startMs: Math.max(0, startMs), endMs: clock.startOfDay(startMs + 36 * HOUR_MS) }
    return known
  }

  return {
    startOf: (timestampMs) => dayOf(timestampMs).startMs,
    endOf: (startMs) => dayOf(startMs).endMs,
    maxSizeMs: 25 * HOUR_MS,
    graceMs,
    description: `calendar days in ${timeZone}, grace ${graceMs} ms`,
  }
}

function checkGrace(graceMs: number): void {
  if (!Number.isSafeInteger(graceMs) || graceMs < 0) throw new RangeError('grace must be 0 ms or more')
}

/** The hour and the offset of a zone, by the platform's own time zone data. */
function zoneClock(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })

  function exactOffsetMs(timestampMs: number): number {
    const part: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(timestampMs)) part[type] = Number(value)
    const asUtc = Date.UTC(part['year']!, part['month']! - 1, part['day']!, part['hour']!, part['minute']!)
    return asUtc - floorTo(timestampMs, 60_000)
  }

  const offsetMs = (timestampMs: number): number => floorTo(exactOffsetMs(timestampMs), HOUR_MS)

  /** First hour of the local day: the local midnight, or the first hour after it where the clocks skip midnight. */
  function startOfDay(timestampMs: number): number {
    // An hour in which the clocks change belongs to the day it began in: some have gone back at one minute past midnight.
    const offset = offsetMs(floorTo(timestampMs, HOUR_MS))
    const localMidnight = floorTo(timestampMs + offset, 24 * HOUR_MS)
    for (let hour = -2; hour <= 2; hour++) {
      const candidate = floorTo(localMidnight - offset, HOUR_MS) + hour * HOUR_MS
      if (candidate + offsetMs(candidate) >= localMidnight) return candidate
    }
    throw new RangeError(`no start of the day at ${timestampMs} in ${timeZone}`)
  }

  for (let year = WHOLE_HOURS_IN.first; year <= WHOLE_HOURS_IN.last; year++) {
    for (const month of [0, 6]) {
      if (exactOffsetMs(Date.UTC(year, month, 1)) % HOUR_MS === 0) continue
      throw new RangeError(`${timeZone} is not whole hours off UTC: days need whole hours`)
    }
  }
  return { startOfDay }
}

function floorTo(value: number, step: number): number {
  return Math.floor(value / step) * step
}
