import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BatchProduce } from './batch-produce.js'
import type { KafkaClient } from './client.js'
import { RecordAccumulator } from './records/encode.js'
import { ModelLog } from './testing/model-log.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const TIME_MS = 10_000

function records(): RecordAccumulator {
  const accumulator = new RecordAccumulator()
  accumulator.append('t', 0, null, Buffer.from('a'), 1)
  return accumulator
}

/** A client whose connections to leaders, or the logins on them, take this long. */
function slowly(log: ModelLog, { connectMs = 0, loginMs = 0 }): KafkaClient {
  const client = log.client()
  const passMs = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  const brokerWithId: typeof client.brokerWithId = async (nodeId) => {
    await passMs(connectMs)
    return client.brokerWithId(nodeId)
  }
  const send: typeof client.send = async (broker, request) => {
    await passMs(loginMs)
    return client.send(broker, request)
  }
  return { ...client, brokerWithId, send } as unknown as KafkaClient
}

describe.each([null, 'a transactional id'])('records of %s', (transactionalId) => {
  const identity = { transactionalId, producerId: 1n, producerEpoch: 0 }

  async function sent(log: ModelLog, slow: { connectMs?: number; loginMs?: number }): Promise<unknown> {
    const deadlineMs = performance.now() + TIME_MS
    const sending = new BatchProduce(slowly(log, slow)).send(identity, records().seal(), { deadlineMs })
    const outcome = sending.catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(2 * TIME_MS)
    return outcome
  }

  it.each([{ connectMs: TIME_MS - 1 }, { loginMs: TIME_MS - 1 }])(
    'are written up to the deadline: %o',
    async (slow) => {
      const log = new ModelLog(1)
      expect(await sent(log, slow)).toEqual(new Map([['t', new Map([[0, 1]])]]))
    },
  )

  it.each([{ connectMs: TIME_MS + 1 }, { loginMs: TIME_MS + 1 }])('do not leave after it: %o', async (slow) => {
    const log = new ModelLog(1)
    expect(await sent(log, slow)).toMatchObject({ name: 'NOT_SENT', kind: 'retriable', outcomeUnknown: false })
    expect(log.requests).toBe(0)
  })
})
