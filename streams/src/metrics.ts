import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What the runtime tells of itself; nothing is labelled by key, so the number of series is bounded. */
export function createMetrics(registry: Registry = new Registry()) {
  const registers = [registry]
  const name = (suffix: string) => `candlewick_streams_${suffix}`
  return {
    records: new Counter({ name: name('records_total'), help: 'Input records processed.', registers }),
    commits: new Counter({ name: name('commits_total'), help: 'Transactions committed.', registers }),
    commitSeconds: new Histogram({
      name: name('commit_seconds'),
      help: 'Time from freezing an interval to its state being in the engines.',
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
      registers,
    }),
    rollbacks: new Counter({
      name: name('rollbacks_total'),
      help: 'Intervals dropped and processed again.',
      registers,
    }),
    rebalances: new Counter({ name: name('rebalances_total'), help: 'Assignments received.', registers }),
    restored: new Counter({
      name: name('restored_records_total'),
      help: 'Changelog records replayed into engines.',
      registers,
    }),
    restoreRemaining: new Gauge({
      name: name('restore_remaining_records'),
      help: 'The most changelog records that are still to be replayed.',
      registers,
    }),
    tasks: new Gauge({
      name: name('tasks'),
      help: 'Tasks of this instance by state.',
      labelNames: ['state'],
      registers,
    }),
    late: new Counter({
      name: name('late_records_total'),
      help: 'Records left out of a window because they came later than its grace.',
      labelNames: ['store'],
      registers,
    }),
    deadLetters: new Counter({
      name: name('dead_letters_total'),
      help: 'Records put aside because they could not be decoded.',
      labelNames: ['topic'],
      registers,
    }),
    cacheBytes: new Gauge({ name: name('cache_bytes'), help: 'Estimated size of the live objects.', registers }),
    expired: new Counter({ name: name('expired_windows_total'), help: 'Windows let go by retention.', registers }),
  }
}

export type StreamsMetrics = ReturnType<typeof createMetrics>
