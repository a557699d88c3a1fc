/** Differences shown at most for a place; more would hide the first. */
const MOST_SHOWN = 10

/** What was compared at one place, and what did not fit. */
export class Place {
  /** Records, rows or answers looked at. */
  compared = 0
  /** Trades that a count is short of, added up over the symbols. */
  lost = 0
  /** Trades that a count has too many. */
  duplicated = 0
  differences = 0
  readonly shown: string[] = []

  constructor(readonly name: string) {}

  differs(text: string): void {
    this.differences++
    if (this.shown.length < MOST_SHOWN) this.shown.push(text)
  }

  /** Every field of `wanted` must be the same value, to the last bit, in `found`. */
  equal(what: string, wanted: object, found: object | undefined): void {
    this.compared++
    if (found === undefined) return this.differs(`${what} is missing`)
    for (const [name, value] of Object.entries(wanted)) {
      const other = (found as Record<string, unknown>)[name]
      if (!Object.is(value, other))
        return this.differs(`${what}: ${name} is ${String(other)}, must be ${String(value)}`)
    }
  }

  /** Counts of the same trades, wanted and found. */
  counted(wanted: number, found: number): void {
    if (found < wanted) this.lost += wanted - found
    else this.duplicated += found - wanted
  }
}
