import type { FetchedChunk } from '../kafka/fetched-chunk.js'
import { readHeaders, visitRecords } from '../kafka/records/decode.js'
import type { EngineWrite } from '../state/engine.js'
import { decodeProgress, PROGRESS_HEADER, type Progress } from '../state/progress.js'
import { LastValues } from './last-values.js'

export interface Changes {
  /** The last value per key. */
  readonly writes: EngineWrite[]
  /** Records that were read for them. */
  readonly records: number
  /** The offset after the chunk; control, aborted and compacted-away offsets count. */
  readonly next: number
  /** Which input the last change belongs to; null when it does not tell, undefined when there is no change. */
  readonly progress: Progress | null | undefined
}

/** Reading is synchronous, so one table serves all. */
const last = new LastValues()

/**
 * What a piece of changelog changes, committed records only. The buffers are views into the chunk.
 * @throws KafkaError INVALID_ANSWER for a corrupt chunk
 */
export function readChanges(chunk: FetchedChunk): Changes {
  last.clear()
  let records = 0
  let lastBytes: Buffer | undefined
  let lastHeaders = 0
  const next = visitRecords(
    chunk,
    'read_committed',
    (_offset, _timestampMs, bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart) => {
      if (keyEnd < keyStart) return
      last.set(bytes, keyStart, keyEnd, valueStart, valueEnd)
      records++
      lastBytes = bytes
      lastHeaders = headersStart
    },
  )
  return { writes: last.toWrites(), records, next, progress: lastBytes && progressIn(lastBytes, lastHeaders) }
}

function progressIn(bytes: Buffer, headersStart: number): Progress | null {
  const header = readHeaders(bytes, headersStart).find(({ key }) => key === PROGRESS_HEADER)
  return (header?.value && decodeProgress(header.value)) ?? null
}
