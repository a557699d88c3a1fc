import { messageOf } from '../errors.js'
import type { KafkaLog } from '../kafka/config.js'
import type { StreamsMetrics } from '../metrics.js'
import type { ErrorStage } from '../processing/error-handlers.js'
import type { DroppedRecord } from '../processing/given-up.js'

type Outcome = 'dropped' | 'dead-letter'

interface Count {
  readonly outcome: Outcome
  readonly stage: ErrorStage
  readonly topic: string
  records: number
  lastError: unknown
}

/** What one interval has left out and put aside. As many entries as there are topics and stages. */
export class GivenUpCounts {
  readonly #counts = new Map<string, Count>()

  add(outcome: Outcome, { stage, topic, error }: DroppedRecord): void {
    const at = `${outcome} ${stage} ${topic}`
    const known = this.#counts.get(at)
    if (known === undefined) {
      this.#counts.set(at, { outcome, stage, topic, records: 1, lastError: error })
    } else {
      known.records++
      known.lastError = error
    }
  }

  /** Takes over what another one counted, and empties it. */
  take(other: GivenUpCounts): void {
    for (const [at, count] of other.#counts) {
      const known = this.#counts.get(at)
      this.#counts.set(at, { ...count, records: count.records + (known?.records ?? 0) })
    }
    other.#counts.clear()
  }

  values(): Iterable<Readonly<Count>> {
    return this.#counts.values()
  }
}

const LOG_EVERY_MS = 10_000

/**
 * Nothing is given up without a count and a line: counted when its interval is committed, so that what is rolled back and
 * processed again counts once; and told in the log at most every 10 s, with how many there were since the last time.
 */
export class GivenUpReport {
  readonly #untold = new GivenUpCounts()
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: { metrics: Pick<StreamsMetrics, 'deadLetters' | 'dropped'>; log: KafkaLog }) {}

  committed(counts: GivenUpCounts, nowMs: number): void {
    const { metrics } = this.options
    for (const { outcome, stage, topic, records } of counts.values()) {
      metrics[outcome === 'dropped' ? 'dropped' : 'deadLetters'].inc({ stage, topic }, records)
    }
    this.#untold.take(counts)
    if (nowMs - this.#toldAtMs >= LOG_EVERY_MS) this.tell(nowMs)
  }

  /** Tells what was held back. */
  tell(nowMs: number): void {
    for (const { outcome, stage, topic, records, lastError } of this.#untold.values()) {
      const message = outcome === 'dropped' ? 'records were left out' : 'records were put aside as dead letters'
      this.options.log.warn({ stage, topic, records, lastError: messageOf(lastError) }, message)
      this.#toldAtMs = nowMs
    }
    new GivenUpCounts().take(this.#untold)
  }
}
