import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { KafkaError } from './errors.js'
import { IdempotentProducer } from './idempotent-producer.js'
import type { IdempotentProducerOptions, RejectedRecord } from './idempotent-producer-options.js'
import { COMPRESSIONS } from './records/compression.js'
import { ModelLog, type Fault } from './testing/model-log.js'
import { WireWriter } from './wire/writer.js'

const UNKNOWN_SERVER_ERROR = -1
const NOT_LEADER = 6
const MESSAGE_TOO_LARGE = 10
const TIMED_OUT = 7
const NOT_AUTHORIZED = 29
const INVALID_RECORD = 87
const UNKNOWN_PRODUCER_ID = 59
const INVALID_PRODUCER_EPOCH = 47
const DUPLICATE = 46

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Lets time pass until the promise is settled. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let settled = false
  const done = () => (settled = true)
  promise.then(done, done)
  while (!settled) await vi.advanceTimersByTimeAsync(100)
  return promise
}

function scripted(...faults: Fault[]): () => Fault {
  return () => faults.shift() ?? { kind: 'none' }
}

async function started(log: ModelLog, options: Partial<IdempotentProducerOptions> = {}) {
  const rejected: RejectedRecord[] = []
  const errors: KafkaError[] = []
  const states: string[] = []
  const producer = new IdempotentProducer(log.client(), {
    maxBufferedBytes: 1_000_000,
    maxBatchBytes: 300,
    onRejected: (records, error) => {
      rejected.push(...records)
      errors.push(error)
    },
    onState: (state) => states.push(state),
    ...options,
  })
  await producer.start()
  const send = (value: string, partition = 0) => producer.send('t', partition, null, Buffer.from(value), 1)
  return { producer, send, rejected, errors, states }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `value-${index}`)

describe('whatever goes wrong on the way', () => {
  const harmless = fc.oneof(
    { weight: 3, arbitrary: fc.constant<Fault>({ kind: 'none' }) },
    fc.constant<Fault>({ kind: 'lost-request' }),
    fc.constant<Fault>({ kind: 'lost-answer' }),
    fc.constantFrom<Fault>(
      { kind: 'refuse', errorCode: NOT_LEADER },
      { kind: 'refuse', errorCode: TIMED_OUT },
      { kind: 'refuse', errorCode: UNKNOWN_PRODUCER_ID },
    ),
  )

  it('each record is in the log exactly once, in the order it was sent', async () => {
    const faults = fc.array(harmless, { maxLength: 40 })
    const sends = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 3 })), { minLength: 1, maxLength: 80 })
    await fc.assert(
      fc.asyncProperty(faults, sends, fc.constantFrom(...COMPRESSIONS), async (script, steps, compression) => {
        // An answer that was lost, and then a broker that forgot us, is the one case that may write twice.
        let lost = false
        const log = new ModelLog(3, () => {
          const fault = script.shift() ?? { kind: 'none' }
          const forgotten = fault.kind === 'refuse' && fault.errorCode === UNKNOWN_PRODUCER_ID
          lost ||= fault.kind === 'lost-answer'
          return forgotten && lost ? { kind: 'none' } : fault
        })
        const { producer, send, rejected } = await started(log, { compression })
        const expected: string[][] = [[], [], []]
        for (const [index, [partition, pauseMs]] of steps.entries()) {
          expect(send(`value-${index}`, partition)).toBe(true)
          expected[partition]!.push(`value-${index}`)
          if (pauseMs > 1) await vi.advanceTimersByTimeAsync(pauseMs * 5)
        }
        await inTime(producer.flush())
        expect([0, 1, 2].map((partition) => log.values(partition))).toEqual(expected)
        expect(rejected).toEqual([])
        expect(producer.bufferedBytes).toBe(0)
        await producer.close()
      }),
      { numRuns: 100 },
    )
  })

  it('after an unclean election only what the brokers lost is missing, nothing is twice or out of order', async () => {
    const faults = fc.array(fc.oneof(harmless, fc.constant<Fault>({ kind: 'truncate' })), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(faults, async (script) => {
        const log = new ModelLog(1, () => {
          const fault = script.shift() ?? { kind: 'none' }
          return fault.kind === 'lost-answer' || fault.kind === 'refuse' ? { kind: 'none' } : fault
        })
        const { producer, send } = await started(log)
        for (const value of numbers(60)) {
          send(value)
          await vi.advanceTimersByTimeAsync(3)
        }
        await inTime(producer.flush())
        const found = log.values(0).map((value) => Number(value.slice('value-'.length)))
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b))
        expect(found.at(-1)).toBe(59)
        await producer.close()
      }),
      { numRuns: 50 },
    )
  })
})

describe('records that are never accepted', () => {
  it('are rejected and the others go on, when the broker names them', async () => {
    const log = new ModelLog(1, scripted({ kind: 'refuse', errorCode: INVALID_RECORD, recordErrors: [1, 3] }))
    const { producer, send, rejected, errors } = await started(log)
    for (const value of numbers(5)) send(value)
    await inTime(producer.flush())
    expect(rejected.map(({ value }) => value?.toString())).toEqual(['value-1', 'value-3'])
    expect(rejected[0]).toMatchObject({ topic: 't', partition: 0, key: null, timestampMs: 1, headers: [] })
    expect(errors[0]?.name).toBe('INVALID_RECORD')
    expect(log.values(0)).toEqual(['value-0', 'value-2', 'value-4'])
    expect(producer.bufferedBytes).toBe(0)
  })

  it('are found by halving when the broker does not name them', async () => {
    const bad = 'value-5'
    const log = new ModelLog(1)
    const append = log.client()
    const client = {
      ...append,
      send: ((broker, request, concerns) => {
        const contains = encoded(request).includes(bad)
        return contains
          ? refusing(log, MESSAGE_TOO_LARGE).client().send(broker, request, concerns)
          : append.send(broker, request)
      }) as typeof append.send,
    }
    const rejected: string[] = []
    const producer = new IdempotentProducer(client, {
      maxBufferedBytes: 1_000_000,
      onRejected: (records) => rejected.push(...records.map(({ value }) => value!.toString())),
    })
    await producer.start()
    for (const value of numbers(9)) producer.send('t', 0, null, Buffer.from(value), 1)
    await inTime(producer.flush())
    expect(rejected).toEqual([bad])
    expect(log.values(0)).toEqual(numbers(9).filter((value) => value !== bad))
    expect(producer.bufferedBytes).toBe(0)
  })

  it('are rejected all together when we may not write to the topic', async () => {
    const log = new ModelLog(1, scripted({ kind: 'refuse', errorCode: NOT_AUTHORIZED }))
    const { producer, send, rejected, errors } = await started(log)
    for (const value of numbers(3)) send(value)
    await inTime(producer.flush())
    expect(rejected.map(({ value }) => value?.toString())).toEqual(numbers(3))
    expect(errors.map(({ name }) => name)).toEqual(['TOPIC_AUTHORIZATION_FAILED'])
    expect(log.values(0)).toEqual([])
  })

  it('are rejected without asking when they exceed the batch limit or have no valid time', async () => {
    const log = new ModelLog(1)
    const { producer, send, errors } = await started(log)
    expect(send('x'.repeat(400))).toBe(true)
    expect(producer.send('t', 0, null, null, NaN)).toBe(true)
    expect(errors.map(({ name }) => name)).toEqual(['MESSAGE_TOO_LARGE', 'INVALID_TIMESTAMP'])
    send('fine')
    await inTime(producer.flush())
    expect(log.values(0)).toEqual(['fine'])
  })

  it('do not make the next batch look like a copy when an earlier try of theirs was appended', async () => {
    const log = new ModelLog(1, scripted({ kind: 'lost-answer' }, { kind: 'refuse', errorCode: NOT_AUTHORIZED }))
    const { producer, send } = await started(log)
    send('first')
    await inTime(producer.flush())
    send('second')
    await inTime(producer.flush())
    expect(log.values(0)).toEqual(['first', 'second'])
  })

  it('do not make the next batch look like a copy when the broker has appended them and failed then', async () => {
    const log = new ModelLog(1, scripted({ kind: 'append-and-fail', errorCode: UNKNOWN_SERVER_ERROR }))
    const { producer, send, rejected } = await started(log)
    send('first')
    await inTime(producer.flush())
    expect(rejected).toHaveLength(1)
    send('second')
    await inTime(producer.flush())
    expect(log.values(0)).toEqual(['first', 'second'])
  })
})

describe('sequences', () => {
  it('go on with the next epoch when the broker does not know them any more', async () => {
    const log = new ModelLog(1, scripted({ kind: 'none' }, { kind: 'refuse', errorCode: UNKNOWN_PRODUCER_ID }))
    const { producer, send } = await started(log)
    send('a')
    await inTime(producer.flush())
    send('b')
    await inTime(producer.flush())
    const entries = log.partitions[0]!.map(({ epoch, firstSequence }) => [epoch, firstSequence])
    expect(entries).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(log.lines).toContain('the broker lost our sequence: starting anew')
  })

  it('begin anew with another producer id when ours is refused', async () => {
    const log = new ModelLog(2, scripted({ kind: 'none' }, { kind: 'refuse', errorCode: INVALID_PRODUCER_EPOCH }))
    const { producer, send } = await started(log)
    send('a')
    await inTime(producer.flush())
    send('b')
    await inTime(producer.flush())
    send('c')
    await inTime(producer.flush())
    expect(log.partitions[0]!.map(({ producerId, firstSequence }) => [producerId, firstSequence])).toEqual([
      [0n, 0],
      [1n, 0],
      [1n, 1],
    ])
  })

  it('take a batch the broker has had before as delivered', async () => {
    const log = new ModelLog(1, scripted({ kind: 'lost-answer' }, { kind: 'refuse', errorCode: DUPLICATE }))
    const { producer, send, rejected } = await started(log)
    send('a')
    await inTime(producer.flush())
    send('b')
    await inTime(producer.flush())
    expect(log.values(0)).toEqual(['a', 'b'])
    expect(rejected).toEqual([])
  })
})

describe('the buffer', () => {
  it('refuses when it is full, and tells when there is room again', async () => {
    const log = new ModelLog(1)
    log.leaderless = true
    const { producer, send } = await started(log, { maxBufferedBytes: 2000 })
    let taken = 0
    while (send('x'.repeat(50))) taken++
    expect(taken).toBeGreaterThan(20)
    expect(producer.bufferedBytes).toBeLessThanOrEqual(2000 + 100)
    const room = producer.whenBelow(1000)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(log.values(0)).toEqual([])
    log.leaderless = false
    await inTime(room)
    expect(send('again')).toBe(true)
    await inTime(producer.flush())
    expect(log.values(0)).toHaveLength(taken + 1)
  })

  it('waits for company no longer than lingerMs', async () => {
    const log = new ModelLog(1)
    const { send } = await started(log, { lingerMs: 20 })
    send('a')
    await vi.advanceTimersByTimeAsync(15)
    send('b')
    expect(log.requests).toBe(0)
    await vi.advanceTimersByTimeAsync(6)
    expect(log.values(0)).toEqual(['a', 'b'])
    expect(log.requests).toBe(1)
  })

  it('says once that it retries and once that all is well', async () => {
    const refuse: Fault = { kind: 'refuse', errorCode: NOT_LEADER }
    const log = new ModelLog(2, scripted(refuse, refuse, refuse))
    const { producer, send, states } = await started(log)
    send('a', 0)
    send('b', 1)
    await inTime(producer.flush())
    expect(states).toEqual(['retrying', 'ok'])
    expect(log.lines).toEqual(['producing fails, retrying', 'producing works again'])
  })
})

describe('close', () => {
  it('delivers what was taken, then takes nothing more', async () => {
    const log = new ModelLog(1)
    const { producer, send } = await started(log, { lingerMs: 10_000 })
    send('a')
    await inTime(producer.close())
    expect(log.values(0)).toEqual(['a'])
    expect(() => send('b')).toThrow(/CLOSED/)
  })

  it('gives up after its timeout, says how much is lost, and lets nobody wait for ever', async () => {
    const log = new ModelLog(1)
    log.leaderless = true
    const { producer, send } = await started(log)
    send('a')
    const flushed = expect(producer.flush()).rejects.toThrow(/CLOSED/)
    const below = producer.whenBelow(0)
    await producer.close({ timeoutMs: 0 })
    await flushed
    await below
    expect(log.lines).toContain('producer closed with undelivered records')
  })
})

function encoded(request: { encode(writer: WireWriter): void }): string {
  const writer = new WireWriter()
  request.encode(writer)
  return writer.bytes.toString('latin1')
}

function refusing(log: ModelLog, errorCode: number): ModelLog {
  return new ModelLog(log.partitions.length, () => ({ kind: 'refuse', errorCode }))
}
