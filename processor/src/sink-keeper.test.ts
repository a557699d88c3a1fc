import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepSinkRunning, type Sink } from './sink-keeper.js'

class FakeSink implements Sink {
  closed = false
  die: (error: Error | undefined) => void = () => undefined
  onExit(listener: (error: Error | undefined) => void): void {
    this.die = listener
  }
  async close(): Promise<void> {
    this.closed = true
  }
}

const log = { warn: () => undefined }
let started: FakeSink[]
const start = () => {
  started.push(new FakeSink())
  return started.at(-1)!
}

beforeEach(() => {
  vi.useFakeTimers()
  started = []
})
afterEach(() => vi.useRealTimers())

test('a sink that dies is started again, each time after twice the delay, a minute at most', () => {
  keepSinkRunning({ start, log })
  for (const delayMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    const before = started.length
    started.at(-1)!.die(new Error('out of memory'))
    vi.advanceTimersByTime(delayMs - 1)
    expect(started).toHaveLength(before)
    vi.advanceTimersByTime(1)
    expect(started).toHaveLength(before + 1)
  }
})

test('one that was well for five minutes is started again soon', () => {
  keepSinkRunning({ start, log })
  for (let death = 0; death < 5; death++) {
    started.at(-1)!.die(undefined)
    vi.advanceTimersByTime(60_000)
  }
  vi.advanceTimersByTime(300_000)
  const before = started.length
  started.at(-1)!.die(undefined)
  vi.advanceTimersByTime(1_000)
  expect(started).toHaveLength(before + 1)
})

test('closing ends the one that runs, and starts none after it', async () => {
  const keeper = keepSinkRunning({ start, log })
  started[0]!.die(undefined)
  vi.advanceTimersByTime(1_000)
  await Promise.all([keeper.close(), keeper.close()])
  started[1]!.die(undefined)
  vi.advanceTimersByTime(600_000)
  expect(started.map(({ closed }) => closed)).toEqual([false, true])
})

test('closing while one waits to be started again starts none', async () => {
  const keeper = keepSinkRunning({ start, log })
  started[0]!.die(undefined)
  await keeper.close()
  vi.advanceTimersByTime(600_000)
  expect(started).toHaveLength(1)
})

test('one that cannot even be started is tried again, and nothing is thrown', () => {
  let tries = 0
  keepSinkRunning({
    start: () => {
      if (++tries < 3) throw new Error('no such file')
      return start()
    },
    log,
  })
  vi.advanceTimersByTime(3_000)
  expect(tries).toBe(3)
  expect(started).toHaveLength(1)
})
