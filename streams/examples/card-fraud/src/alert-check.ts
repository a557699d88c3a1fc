import { identityOf, type Alert } from './alert.js'

/** Compares the alerts that came with the frauds that were planted. */
export class AlertCheck {
  readonly #seen = new Map<string, number>()

  add(alert: Alert): void {
    const identity = identityOf(alert)
    this.#seen.set(identity, (this.#seen.get(identity) ?? 0) + 1)
  }

  /** @param planted identities of the alerts there have to be, and no others */
  compare(planted: readonly string[]): { missing: string[]; unexpected: string[]; repeated: string[] } {
    const expected = new Set(planted)
    const seen = [...this.#seen]
    return {
      missing: planted.filter((identity) => !this.#seen.has(identity)),
      unexpected: seen.filter(([identity]) => !expected.has(identity)).map(([identity]) => identity),
      repeated: seen.filter(([, times]) => times > 1).map(([identity]) => identity),
    }
  }
}
