import type { WrittenOffsets } from '../kafka/batch-produce.js'
import type { GroupStanding, TransactionalOffset } from '../kafka/protocol/transactions.js'
import type { RecordAccumulator } from '../kafka/records/encode.js'
import type { OnRefused } from '../kafka/refused-records.js'

/** How an interval gets to Kafka: in a transaction (exactly-once), or one thing after the other (at-least-once). */
export interface IntervalProducer {
  /** Before the first interval, and after every failure: what an earlier one left open is ended or fenced. */
  init(options?: { signal?: AbortSignal }): Promise<void>
  /** @returns for each partition the offset after its last record */
  produce(records: RecordAccumulator, onRefused?: OnRefused): Promise<WrittenOffsets>
  /** Refused from a member that the group has gone on without. */
  sendOffsets(group: GroupStanding, offsets: readonly TransactionalOffset[]): Promise<void>
  /** From here on everybody sees it. */
  end(outcome: 'commit'): Promise<void>
}
