import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What is asked when the metrics are read. */
export interface MetricsSource {
  /** Records of each input partition that are ours to process and are not processed. */
  inputLag(): Iterable<{ topic: string; partition: number; records: number }>
}

/** What the runtime tells of itself; nothing is labelled by key, so the number of series is bounded. */
export function createMetrics(registry: Registry = new Registry(), source?: MetricsSource) {
  const registers = [registry]
  const name = (suffix: string) => `candlewick_streams_${suffix}`
  new Gauge({
    name: name('input_lag_records'),
    help: 'Records of an input partition that are not processed yet, as of its last fetch.',
    labelNames: ['topic', 'partition'],
    registers,
    collect() {
      this.reset()
      for (const { topic, partition, records } of source?.inputLag() ?? []) this.set({ topic, partition }, records)
    },
  })
  return {
    records: new Counter({ name: name('records_total'), help: 'Input records processed.', registers }),
    commits: new Counter({ name: name('commits_total'), help: 'Transactions committed.', registers }),
    commitSeconds: new Histogram({
      name: name('commit_seconds'),
      help: 'Time from freezing an interval to its state being in the engines.',
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
      registers,
    }),
    commitErrors: new Counter({
      name: name('commit_errors_total'),
      help: 'Commits that failed; a rollback follows.',
      registers,
    }),
    endToEndSeconds: new Histogram({
      name: name('end_to_end_seconds'),
      help: 'From the entry of a record into the system to its results being committed; the oldest of each fetched chunk.',
      buckets: [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300],
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
      help: 'Records put aside: not decodable, refused by a check, or failing again and again.',
      labelNames: ['topic'],
      registers,
    }),
    cacheBytes: new Gauge({ name: name('cache_bytes'), help: 'Estimated size of the live objects.', registers }),
    cacheMisses: new Counter({
      name: name('cache_misses_total'),
      help: 'Objects that were read from the engine because the cache did not have them.',
      registers,
    }),
    cacheEvictions: new Counter({
      name: name('cache_evictions_total'),
      help: 'Objects that were let go because the cache is full.',
      registers,
    }),
    expired: new Counter({ name: name('expired_windows_total'), help: 'Windows let go by retention.', registers }),
  }
}

export type StreamsMetrics = ReturnType<typeof createMetrics>
