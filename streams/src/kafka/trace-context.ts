import type { RecordHeader } from './records/encode.js'

/** The headers of a record that say to which trace it belongs; they go on to what is made of it, unchanged. */
export type TraceHeaders = readonly RecordHeader[]

export const NO_TRACE: TraceHeaders = Object.freeze([])

/*
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): traceparent has 55 bytes today and may grow; tracestate must be
 * passed on up to 512 bytes. Longer ones are not: what a stranger puts into a header must not make our records too large.
 */
const TRACEPARENT = Buffer.from('traceparent')
const TRACESTATE = Buffer.from('tracestate')
const LONGEST_TRACEPARENT_BYTES = 128
const LONGEST_TRACESTATE_BYTES = 512

/**
 * traceparent and tracestate of a record, copied; NO_TRACE where there are none. Called for each record that has headers,
 * so headers of other names are passed over without an object. Headers whose lengths do not fit count as none.
 * @param headersStart as the visitor of records gets it; the byte there is 0 when a record has no headers
 */
export function readTrace(bytes: Buffer, headersStart: number): TraceHeaders {
  let traceparent: RecordHeader | undefined
  let tracestate: RecordHeader | undefined
  position = headersStart
  for (let left = varint(bytes); left > 0 && position < bytes.length; left--) {
    const keySize = varint(bytes)
    const keyStart = position
    position += keySize
    const valueSize = varint(bytes)
    if (keySize < 0 || position + valueSize > bytes.length) break
    if (valueSize <= 0) continue
    if (valueSize <= LONGEST_TRACEPARENT_BYTES && isNamed(TRACEPARENT, bytes, keyStart, keySize)) {
      traceparent = { key: 'traceparent', value: Buffer.from(bytes.subarray(position, position + valueSize)) }
    } else if (valueSize <= LONGEST_TRACESTATE_BYTES && isNamed(TRACESTATE, bytes, keyStart, keySize)) {
      tracestate = { key: 'tracestate', value: Buffer.from(bytes.subarray(position, position + valueSize)) }
    }
    position += valueSize
  }
  if (traceparent === undefined) return NO_TRACE
  return tracestate === undefined ? [traceparent] : [traceparent, tracestate]
}

/** Where readTrace() is; it is synchronous, so one place is enough. */
let position = 0

/** A zigzag varint. A read past the end counts as 0, which ends it. */
function varint(bytes: Buffer): number {
  let byte = bytes[position++] ?? 0
  let raw = byte & 127
  for (let shift = 7; (byte & 128) !== 0 && shift < 35; shift += 7) {
    byte = bytes[position++] ?? 0
    raw |= (byte & 127) << shift
  }
  return (raw >>> 1) ^ -(raw & 1)
}

function isNamed(name: Buffer, bytes: Buffer, start: number, size: number): boolean {
  return size === name.length && bytes.compare(name, 0, size, start, start + size) === 0
}
