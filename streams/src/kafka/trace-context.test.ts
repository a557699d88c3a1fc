import { expect, it } from 'vitest'
import { RecordAccumulator, type RecordHeader } from './records/encode.js'
import { visitRecords } from './records/decode.js'
import { NO_TRACE, readTrace, type TraceHeaders } from './trace-context.js'

/** What readTrace() makes of records with these headers, one after the other in one batch. */
function tracesOf(...records: RecordHeader[][]): TraceHeaders[] {
  const accumulator = new RecordAccumulator()
  for (const headers of records) accumulator.append('in', 0, null, Buffer.from('value'), 0, headers)
  const { batches } = accumulator.seal()[0]!
  const traces: TraceHeaders[] = []
  const ends = { highWatermark: -1, lastStableOffset: -1, logStartOffset: 0 }
  const chunk = { topic: 'in', partition: 0, fetchOffset: 0, records: batches[0]!.bytes, aborted: null, ...ends }
  visitRecords(chunk, 'read_committed', (_offset, _ms, bytes, _1, _2, _3, _4, headersStart) => {
    traces.push(readTrace(bytes, headersStart))
  })
  // What was read stays when the buffer it came in is used again.
  batches[0]!.bytes.fill(0x78)
  return traces
}

const header = (key: string, value: string | null): RecordHeader => ({
  key,
  value: value === null ? null : Buffer.from(value),
})
const traceparent = header('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
const tracestate = header('tracestate', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')

it('finds traceparent and tracestate among other headers, in any order', () => {
  const others = [
    header('a', '1'),
    header('', null),
    header('traceparent2', 'x'),
    header('x'.repeat(300), 'y'.repeat(300)),
  ]
  expect(tracesOf([...others, tracestate, traceparent])).toEqual([[traceparent, tracestate]])
  expect(tracesOf([traceparent, ...others], others, [traceparent])).toEqual([[traceparent], NO_TRACE, [traceparent]])
})

it('a record without headers, or with a tracestate alone, belongs to no trace', () => {
  expect(tracesOf([], [tracestate], [header('traceparent', null)], [header('traceparent', '')])).toEqual([
    NO_TRACE,
    NO_TRACE,
    NO_TRACE,
    NO_TRACE,
  ])
})

it('what is too long to be a trace context is not passed on', () => {
  expect(tracesOf([header('traceparent', 'x'.repeat(10_000))])).toEqual([NO_TRACE])
  expect(tracesOf([traceparent, header('tracestate', 'x'.repeat(513))])).toEqual([[traceparent]])
})

it('bytes that are no headers are none', () => {
  for (let length = 0; length < 40; length++) expect(readTrace(Buffer.alloc(length, 0xff), 0)).toBe(NO_TRACE)
  expect(readTrace(Buffer.from([2, 40, 1]), 0)).toBe(NO_TRACE)
})
