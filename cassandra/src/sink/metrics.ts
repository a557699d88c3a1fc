import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { WriteFailure } from '../errors.js'
import type { TableName } from './tables.js'

/** Every metric below, for those who read them from another thread. */
export const SINK_METRIC_NAMES = [
  'candlewick_sink_rows_total',
  'candlewick_sink_write_seconds',
  'candlewick_sink_errors_total',
  'candlewick_sink_dead_letters_total',
  'candlewick_sink_paused_seconds_total',
  'candlewick_sink_lag_records',
] as const

/** What an operator sees of the sink. Labels are tables and topics, never symbols: their number must stay small. */
export class SinkMetrics {
  private readonly rows: Counter<'table'>
  private readonly writeSeconds: Histogram<'table'>
  private readonly errors: Counter<'kind'>
  private readonly deadLetters: Counter<'topic'>
  private readonly paused: Counter
  private pausedSinceMs: number | undefined

  /** @param lag records of each topic that are not written yet, asked for when the metrics are read */
  constructor(registry: Registry, lag: () => Iterable<[topic: string, records: number]>) {
    const registers = [registry]
    this.rows = new Counter({
      name: 'candlewick_sink_rows_total',
      help: 'Rows that are durable in Cassandra',
      labelNames: ['table'],
      registers,
    })
    this.writeSeconds = new Histogram({
      name: 'candlewick_sink_write_seconds',
      help: 'Time of one successful write request (a batch of rows of one partition)',
      labelNames: ['table'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    })
    this.errors = new Counter({
      name: 'candlewick_sink_errors_total',
      help: 'Failed write requests: retry = Cassandra slow or away, setup = tables or rights missing, never = bad rows',
      labelNames: ['kind'],
      registers,
    })
    // There before the first failure: a rate can only be seen of a series that was there.
    for (const kind of ['retry', 'setup', 'never'] satisfies WriteFailure[]) this.errors.inc({ kind }, 0)
    this.deadLetters = new Counter({
      name: 'candlewick_sink_dead_letters_total',
      help: 'Records that no table can hold, handed to the dead-letter topic',
      labelNames: ['topic'],
      registers,
    })
    this.paused = new Counter({
      name: 'candlewick_sink_paused_seconds_total',
      help: 'Time during which Cassandra took no writes',
      registers,
      collect: () => {
        this.countPause()
      },
    })
    new Gauge({
      name: 'candlewick_sink_lag_records',
      help: 'Records on the topic that are not durable in Cassandra yet',
      labelNames: ['topic'],
      registers,
      collect() {
        this.reset()
        for (const [topic, records] of lag()) this.inc({ topic }, records)
      },
    })
  }

  written(table: TableName, rows: number, durationMs: number): void {
    this.rows.inc({ table }, rows)
    this.writeSeconds.observe({ table }, durationMs / 1000)
  }

  failed(kind: WriteFailure): void {
    this.errors.inc({ kind })
  }

  deadLettered(topic: string, records: number): void {
    this.deadLetters.inc({ topic }, records)
  }

  pausedFrom(timeMs: number): void {
    this.pausedSinceMs ??= timeMs
  }

  resumed(): void {
    this.countPause()
    this.pausedSinceMs = undefined
  }

  /** A pause counts while it lasts, not only when it is over. */
  private countPause(): void {
    if (this.pausedSinceMs === undefined) return
    const nowMs = performance.now()
    this.paused.inc((nowMs - this.pausedSinceMs) / 1000)
    this.pausedSinceMs = nowMs
  }
}
