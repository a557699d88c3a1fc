import { errors, types } from 'cassandra-driver'
import { Registry } from 'prom-client'
import { expect, test, vi } from 'vitest'
import { SinkMetrics } from './metrics.js'
import type { PlannedRow, Write } from './plan.js'
import { Writer, type WriterState } from './writer.js'

const { responseErrorCodes: code } = types
const never = new AbortController().signal

function row(offset: number): PlannedRow {
  const source = {
    offset,
    brokerTimeMs: 0,
    bytes: Buffer.alloc(0),
    keyStart: 0,
    keyEnd: -1,
    valueStart: 0,
    valueEnd: -1,
  }
  return { partition: [], values: [], source }
}

function write(...offsets: number[]): Write {
  return { table: 'trades', rows: offsets.map(row) }
}

function writerOn(send: (write: Write) => Promise<unknown>, maxInFlight = 4) {
  const states: WriterState['kind'][] = []
  const registry = new Registry()
  const writer = new Writer({
    send,
    maxInFlight,
    metrics: new SinkMetrics(registry, () => []),
    onState: (state) => states.push(state.kind),
    backoff: { firstMs: 1, longestMs: 2 },
  })
  const rows = async () => {
    const metric = await registry.getSingleMetric('candlewick_sink_rows_total')!.get()
    return metric.values.reduce((sum, { value }) => sum + value, 0)
  }
  return { writer, states, rows }
}

const CAN_END: [string, () => Error][] = [
  ['a write timeout', () => new errors.ResponseError(code.writeTimeout, 'timeout')],
  ['too few replicas', () => new errors.ResponseError(code.unavailableException, 'unavailable')],
  ['an overloaded node', () => new errors.ResponseError(code.overloaded, 'overloaded')],
  ['a failing replica', () => new errors.ResponseError(code.writeFailure, 'failure')],
  ['no node at all', () => new errors.NoHostAvailableError({}, 'none')],
  ['a node that does not answer', () => new errors.OperationTimedOutError('timed out')],
  ['a lost connection', () => Object.assign(new Error('ECONNRESET'), { isSocketError: true })],
  ['tables that are not there yet', () => new errors.ResponseError(code.invalid, 'table trades does not exist')],
  ['a right not granted yet', () => new errors.ResponseError(code.unauthorized, 'no MODIFY')],
]

test.each(CAN_END)('%s is waited out, and every row is written in the end', async (_name, failure) => {
  const failures = [failure(), failure(), failure(), failure()]
  const send = vi.fn(() => {
    const error = failures.pop()
    return error === undefined ? Promise.resolve() : Promise.reject(error)
  })
  const { writer, states, rows } = writerOn(send)
  expect(await writer.writeAll([write(1, 2)], never)).toEqual([])
  expect(await rows()).toBe(2)
  expect(states).toEqual(['waiting', 'writing'])
})

test('a row that can never be written is given back alone; its neighbours of the batch are written', async () => {
  const durable: number[] = []
  const { writer, states } = writerOn((batch) => {
    const offsets = batch.rows.map(({ source }) => source.offset)
    if (offsets.includes(2)) {
      return Promise.reject(
        new errors.ResponseError(code.invalid, 'Key length of 70006 is longer than maximum of 65535'),
      )
    }
    durable.push(...offsets)
    return Promise.resolve()
  })
  const rejected = await writer.writeAll([write(1, 2, 3), write(4)], never)
  expect(rejected.map(({ source }) => source.offset)).toEqual([2])
  expect(durable.sort()).toEqual([1, 3, 4])
  expect(states).toEqual([])
})

test('no more requests are under way than allowed, over all chunks together', async () => {
  let underWay = 0
  let most = 0
  const { writer } = writerOn(async () => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise(setImmediate)
    underWay -= 1
  }, 3)
  const chunk = () => Array.from({ length: 20 }, (_, index) => write(index))
  await Promise.all([writer.writeAll(chunk(), never), writer.writeAll(chunk(), never)])
  expect(most).toBe(3)
})

test('an abort ends the waiting at once, in whatever state a write is, and frees its place', async () => {
  const cause = new Error('the partition is lost')
  const failing = new AbortController()
  const first = writerOn(() => Promise.reject(new errors.NoHostAvailableError({}, 'none')), 1)
  const waiting = first.writer.writeAll([write(1), write(2)], failing.signal)
  const outcome = expect(waiting).rejects.toBe(cause)
  await vi.waitFor(() => {
    expect(first.states).toEqual(['waiting'])
  })
  failing.abort(cause)
  await outcome

  const hanging = new AbortController()
  let answers = false
  const second = writerOn(() => (answers ? Promise.resolve() : new Promise(() => undefined)), 1)
  const hung = expect(second.writer.writeAll([write(1)], hanging.signal)).rejects.toBe(cause)
  hanging.abort(cause)
  await hung
  answers = true
  expect(await second.writer.writeAll([write(3)], never)).toEqual([])
})
