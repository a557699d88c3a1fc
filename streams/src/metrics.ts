import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { TaskRestore } from './changelog/restore-progress.js'

/** What is asked when the metrics are read. */
export interface MetricsSource {
  /** Records of each input partition that are ours to process and are not processed. */
  inputLag(): Iterable<{ topic: string; partition: number; records: number }>
  /** The cache of all stores. Its counters grow with every record, so they are plain numbers until they are asked for. */
  cache(): { hits: number; misses: number; evictions: number; usedBytes: number; limitBytes: number } | undefined
  /** Restores that are under way. */
  restoring(): Iterable<TaskRestore>
  /** Tasks whose state answers queries here without being surely ours and current. */
  standbys(): Iterable<{ task: string; staleSeconds: number }>
  /** Changelog records that each standby has still to replay. */
  standbyLag(): Iterable<{ task: string; records: number }>
}

/** Why an interval was dropped and is processed again. */
export const ROLLBACK_CAUSES = [
  'processing', // user code threw
  'kafka', // away, or too slow
  'fenced', // somebody else took over
  'expelled', // the group went on without us
  'other',
] as const
export type RollbackCause = (typeof ROLLBACK_CAUSES)[number]

/** What the runtime tells of itself; nothing is labelled by key, so the number of series is bounded. */
export function createMetrics(registry: Registry = new Registry(), source: Partial<MetricsSource> = {}) {
  const registers = [registry]
  const name = (suffix: string) => `candlewick_streams_${suffix}`
  addAsked(registers, name, source)
  const rollbacks = new Counter<'cause'>({
    name: name('rollbacks_total'),
    help: 'Intervals dropped and processed again, by cause.',
    labelNames: ['cause'],
    registers,
  })
  // A series that appears with its first event hides that one from increase().
  for (const cause of ROLLBACK_CAUSES) rollbacks.inc({ cause }, 0)
  return {
    rollbacks,
    records: new Counter({ name: name('records_total'), help: 'Input records processed.', registers }),
    commits: new Counter({ name: name('commits_total'), help: 'Intervals committed.', registers }),
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
    rebalances: new Counter({ name: name('rebalances_total'), help: 'Assignments received.', registers }),
    restored: new Counter({
      name: name('restored_records_total'),
      help: 'Changelog records replayed into engines.',
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
      help: 'Records put aside: not decodable, refused by a check, failing again and again, or not to be written.',
      labelNames: ['topic', 'stage'],
      registers,
    }),
    dropped: new Counter({
      name: name('dropped_records_total'),
      help: 'Records left out because an error handler said continue.',
      labelNames: ['topic', 'stage'],
      registers,
    }),
    expired: new Counter({ name: name('expired_windows_total'), help: 'Windows let go by retention.', registers }),
  }
}

export type StreamsMetrics = ReturnType<typeof createMetrics>

/** Metrics whose values are asked for when they are read. */
function addAsked(registers: Registry[], name: (suffix: string) => string, source: Partial<MetricsSource>): void {
  new Gauge({
    name: name('input_lag_records'),
    help: 'Records of an input partition that are not processed yet, as of its last fetch.',
    labelNames: ['topic', 'partition'],
    registers,
    collect() {
      this.reset()
      for (const { topic, partition, records } of source.inputLag?.() ?? []) this.set({ topic, partition }, records)
    },
  })
  const perTask = <T extends { task: string }>(
    suffix: string,
    help: string,
    list: () => Iterable<T> | undefined,
    valueOf: (one: T) => number,
  ) =>
    new Gauge({
      name: name(suffix),
      help,
      labelNames: ['task'],
      registers,
      collect() {
        this.reset()
        for (const one of list() ?? []) this.set({ task: one.task }, valueOf(one))
      },
    })
  const restoring = () => source.restoring?.()
  perTask(
    'restore_remaining_records',
    'The most changelog records that are still to be replayed, of each task that is being restored.',
    restoring,
    ({ remaining }) => remaining,
  )
  perTask(
    'restore_records_per_second',
    'Changelog records replayed per second, of each task that is being restored.',
    restoring,
    ({ recordsPerSecond }) => recordsPerSecond,
  )
  perTask(
    'restore_eta_seconds',
    'Time until a task is restored, at the pace since its restore began.',
    restoring,
    ({ etaSeconds }) => etaSeconds,
  )
  perTask(
    'standby_lag_records',
    'Changelog records that each standby has still to replay, as of its last fetches.',
    () => source.standbyLag?.(),
    ({ records }) => records,
  )
  perTask(
    'standby_staleness_seconds',
    'How old the state may be of each task that answers queries as a standby.',
    () => source.standbys?.(),
    ({ staleSeconds }) => staleSeconds,
  )
  type Cache = NonNullable<ReturnType<MetricsSource['cache']>>
  const cacheGauge = (suffix: string, help: string, valueOf: (cache: Cache) => number) =>
    new Gauge({
      name: name(suffix),
      help,
      registers,
      collect() {
        const cache = source.cache?.()
        if (cache !== undefined) this.set(valueOf(cache))
      },
    })
  const cacheCounter = (suffix: string, help: string, valueOf: (cache: Cache) => number) =>
    new Counter({
      name: name(suffix),
      help,
      registers,
      collect() {
        const cache = source.cache?.()
        if (cache === undefined) return
        this.reset()
        this.inc(valueOf(cache))
      },
    })
  cacheGauge('cache_bytes', 'Estimated size of the live objects.', ({ usedBytes }) => usedBytes)
  cacheGauge('cache_limit_bytes', 'What the live objects of all stores may take.', ({ limitBytes }) => limitBytes)
  cacheCounter('cache_hits_total', 'Uses of an object that was in the cache.', ({ hits }) => hits)
  cacheCounter(
    'cache_misses_total',
    'Objects that were read from the engine because the cache did not have them.',
    ({ misses }) => misses,
  )
  cacheCounter(
    'cache_evictions_total',
    'Objects that were let go because the cache is full.',
    ({ evictions }) => evictions,
  )
}
