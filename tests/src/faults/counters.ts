/** What is counted over all processes that a processor has run in; a process that died takes its last second with it. */
export const COUNTED = {
  records: 'candlewick_streams_records_total',
  commits: 'candlewick_streams_commits_total',
  failedCommits: 'candlewick_streams_commit_errors_total',
  rollbacks: 'candlewick_streams_rollbacks_total',
  failedProcessing: 'candlewick_streams_rollbacks_total{cause="processing"}',
  unexplained: 'candlewick_streams_rollbacks_total{cause="other"}',
  rebalances: 'candlewick_streams_rebalances_total',
  restored: 'candlewick_streams_restored_records_total',
} as const

export type Counted = keyof typeof COUNTED

/** Adds up counters over processes that come and go: of each process the last value counts. */
export class Counters {
  readonly #byProcess = new Map<number, ReadonlyMap<string, number>>()

  /** @param text in Prometheus' text format */
  take(pid: number, text: string): void {
    this.#byProcess.set(pid, parse(text))
  }

  total(name: Counted): number {
    let sum = 0
    for (const values of this.#byProcess.values()) sum += values.get(COUNTED[name]) ?? 0
    return sum
  }
}

/** Each series by its name and labels, and the sum over the labels by the name alone. */
function parse(text: string): Map<string, number> {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels, value] = /^([a-z_]+)(\{[^}]*\})? ([^ ]+)/.exec(line) ?? []
    if (name === undefined) continue
    values.set(name, (values.get(name) ?? 0) + Number(value))
    if (labels !== undefined) values.set(name + labels, Number(value))
  }
  return values
}
