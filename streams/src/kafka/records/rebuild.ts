import { COMPRESSIONS } from './compression.js'
import { visitRecords, readHeaders } from './decode.js'
import { RecordBatchBuilder, type Compression, type RecordBatch, type RecordHeader } from './batch.js'

/** A record as it was handed in. */
export interface PlainRecord {
  key: Buffer | null
  value: Buffer | null
  timestampMs: number
  headers: RecordHeader[]
}

/** The records of a batch of our own, copied out of it. */
export function recordsOf({ bytes }: RecordBatch): PlainRecord[] {
  const records: PlainRecord[] = []
  const chunk = {
    topic: '',
    partition: 0,
    fetchOffset: 0,
    records: bytes,
    aborted: null,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
  }
  visitRecords(
    chunk,
    'read_uncommitted',
    (_offset, timestampMs, source, keyStart, keyEnd, valueStart, valueEnd, headersStart) => {
      records.push({
        key: keyEnd < keyStart ? null : Buffer.from(source.subarray(keyStart, keyEnd)),
        value: valueEnd < valueStart ? null : Buffer.from(source.subarray(valueStart, valueEnd)),
        timestampMs,
        headers: readHeaders(source, headersStart).map(({ key, value }) => ({
          key,
          value: value === null ? null : Buffer.from(value),
        })),
      })
    },
  )
  return records
}

/** What a batch was compressed with. */
export function compressionOf({ bytes }: RecordBatch): Compression {
  return COMPRESSIONS[bytes.readInt16BE(21) & 7]!
}

/** A batch of these records, in this order. */
export function batchOf(records: readonly PlainRecord[], compression: Compression): RecordBatch {
  const builder = new RecordBatchBuilder(Infinity, compression)
  for (const { key, value, timestampMs, headers } of records) builder.append(key, value, timestampMs, headers)
  return builder.seal()
}
