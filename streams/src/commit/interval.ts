import { RecordAccumulator, type Compression } from '../kafka/records/encode.js'
import { GivenUpCounts } from './given-up-counts.js'
import type { FrozenTask } from '../processing/task.js'
import type { StreamTask } from '../processing/stream-task.js'

/** The group generation and member that an interval was processed under; it commits with these or not at all. */
export interface Stamp {
  readonly generationId: number
  readonly memberId: string
}

/** What is processed between two commits, over all tasks of the instance. */
export class Interval {
  readonly records: RecordAccumulator
  readonly givenUp = new GivenUpCounts()
  readonly openedAtMs: number
  stamp: Stamp | undefined
  recordCount = 0

  constructor(nowMs: number, compression: Compression = 'none') {
    this.openedAtMs = nowMs
    this.records = new RecordAccumulator({ compression })
  }
}

/** A part of the interval that is being committed. */
export interface FrozenInterval {
  readonly stamp: Stamp
  readonly records: RecordAccumulator
  readonly tasks: readonly { task: StreamTask; frozen: FrozenTask }[]
  readonly givenUp: GivenUpCounts
}
