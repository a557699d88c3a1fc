import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { KafkaClient } from './client.js'
import { KafkaError } from './errors.js'
import { Heartbeats } from './heartbeats.js'

const OK = 0
const codes = { REBALANCE_IN_PROGRESS: 27, UNKNOWN_MEMBER_ID: 25, ILLEGAL_GENERATION: 22, NOT_COORDINATOR: 16 }

/** A coordinator that answers what the test wants: an error code, a failure, or nothing until released. */
class FakeCoordinator {
  answers: (number | Error | Promise<number>)[] = []
  sent = 0
  forgotten = 0
  /** Ends what hangs, as a real client does. */
  readonly #dropped = new AbortController()
  readonly client = {
    dropConnections: () => this.#dropped.abort(),
    coordinatorOf: () => Promise.resolve({}),
    forgetCoordinator: () => void this.forgotten++,
    send: async () => {
      this.sent++
      const dropped = new Promise<Error>((resolve) => {
        this.#dropped.signal.addEventListener('abort', () => resolve(KafkaError.connection('dropped', true)))
      })
      const answer = await Promise.race([this.answers.shift() ?? OK, dropped])
      if (answer instanceof Error) throw answer
      return { errorCode: answer }
    },
  } as unknown as KafkaClient
}

let coordinator: FakeCoordinator
let heartbeats: Heartbeats
let events: string[]
let warnings: number

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  coordinator = new FakeCoordinator()
  events = []
  warnings = 0
  const ignore = () => undefined
  heartbeats = new Heartbeats(coordinator.client, {
    groupId: 'g',
    intervalMs: 1000,
    sessionTimeoutMs: 10_000,
    log: { debug: ignore, info: ignore, warn: () => void warnings++, error: ignore },
    onRebalance: () => void events.push('rebalance'),
    onLost: (error) => void events.push(`lost: ${error?.name ?? 'session'}`),
  })
})
afterEach(async () => {
  await heartbeats.stop()
  vi.useRealTimers()
})

function start(): void {
  heartbeats.start({ generationId: 1, memberId: 'm' }, performance.now())
}

test('one at once, then one every interval; the last success is when it was sent', async () => {
  start()
  await vi.advanceTimersByTimeAsync(3500)
  expect(coordinator.sent).toBe(4)
  expect(events).toEqual([])
  expect(performance.now() - heartbeats.lastSuccessAtMs).toBe(500)
})

test('while the machine sleeps the last success grows old by the wall clock, which alone goes on', async () => {
  start()
  await vi.advanceTimersByTimeAsync(1500)
  const wall = vi.spyOn(Date, 'now')
  const now = Date.now()
  wall.mockReturnValue(now + 3_600_000)
  expect(performance.now() - heartbeats.lastSuccessAtMs).toBeGreaterThan(3_590_000)
  await vi.advanceTimersByTimeAsync(1000)
  expect(performance.now() - heartbeats.lastSuccessAtMs).toBe(500)
  wall.mockReturnValue(now - 3_600_000)
  expect(performance.now() - heartbeats.lastSuccessAtMs).toBe(500)
  wall.mockRestore()
})

test('after stop() none is sent, and stop() waits for the one in flight', async () => {
  let release!: (code: number) => void
  coordinator.answers = [new Promise((resolve) => (release = resolve))]
  start()
  await vi.advanceTimersByTimeAsync(1)
  let stopped = false
  const stopping = heartbeats.stop().then(() => (stopped = true))
  await vi.advanceTimersByTimeAsync(5000)
  expect(stopped).toBe(false)
  release(codes.ILLEGAL_GENERATION)
  await stopping
  await vi.advanceTimersByTimeAsync(20_000)
  expect(coordinator.sent).toBe(1)
  expect(events).toEqual([]) // what the late one said concerns nobody
})

test('REBALANCE_IN_PROGRESS is told, heartbeats go on, and the success before it stands', async () => {
  coordinator.answers = [OK, codes.REBALANCE_IN_PROGRESS]
  start()
  const startedAtMs = performance.now()
  await vi.advanceTimersByTimeAsync(1000)
  expect(events).toEqual(['rebalance'])
  expect(heartbeats.lastSuccessAtMs).toBe(startedAtMs)
  await vi.advanceTimersByTimeAsync(1000)
  expect(coordinator.sent).toBe(3)
})

test.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)('%s loses the group at once', async (name) => {
  coordinator.answers = [codes[name]]
  start()
  await vi.advanceTimersByTimeAsync(30_000)
  expect(events).toEqual([`lost: ${name}`])
  expect(coordinator.sent).toBe(1)
})

describe('a coordinator that moved or cannot be reached', () => {
  test('is looked for again sooner than the interval, with one warning', async () => {
    coordinator.answers = [codes.NOT_COORDINATOR, KafkaError.connection('gone', true), codes.NOT_COORDINATOR]
    start()
    await vi.advanceTimersByTimeAsync(1500)
    expect(coordinator.sent).toBeGreaterThanOrEqual(4)
    expect(coordinator.forgotten).toBe(3)
    expect(warnings).toBe(1)
    expect(events).toEqual([])
  })

  test('for a whole session loses the group, though a heartbeat hangs, and nobody waits for that one', async () => {
    coordinator.answers = [OK, new Promise(() => undefined)]
    start()
    await vi.advanceTimersByTimeAsync(9_999)
    expect(events).toEqual([])
    await vi.advanceTimersByTimeAsync(2)
    expect(events).toEqual(['lost: session'])
    await heartbeats.stop()
    expect(coordinator.sent).toBe(2)
    expect(warnings, 'what became of the one that hung concerns nobody').toBe(0)
  })
})
