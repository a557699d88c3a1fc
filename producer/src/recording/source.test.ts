import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ProducerMetrics } from '../metrics.js'
import { ManualClock } from '../testing/manual-clock.js'
import { RecordedEvents } from '../testing/recorded-events.js'
import { recordLog } from '../testing/recorded-log.js'
import { RecordingSource } from './source.js'
import type { Speed } from './speed.js'

/** These talk through real sockets and files: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 60_000 })
const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const T = 1_381_190_400_000
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'recording-source-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function start(lines: readonly string[], speed: Speed) {
  const file = join(directory, `${Math.random()}.csv`)
  await writeFile(file, lines.join('\n'))
  const clock = new ManualClock()
  const events = new RecordedEvents()
  const metrics = new ProducerMetrics(new Registry(), () => 0)
  const source = new RecordingSource({ file, speed, clock, metrics, log: recordLog().log })
  source.start(events)
  return { source, events, clock }
}

const line = (price: number, afterMs: number) => `AAPL,${price},1,${T + afterMs}`
const prices = (events: RecordedEvents) => events.trades.map(({ price }) => price)

describe('a recording as a source', () => {
  it('plays at its speed, with the times it was recorded with', async () => {
    const { events, clock } = await start([line(1, 0), line(2, 0), line(3, 1_000), line(4, 1_000), line(5, 3_000)], 10)
    await until(() => expect(prices(events)).toEqual([1, 2]))
    expect(events.batches.length).toBe(1)
    clock.advance(99)
    expect(clock.pendingMs).toEqual([1])
    expect(prices(events)).toEqual([1, 2])
    clock.advance(1)
    await until(() => expect(prices(events)).toEqual([1, 2, 3, 4]))
    clock.advance(200)
    await until(() => expect(events.ends).toBe(1))
    expect(prices(events)).toEqual([1, 2, 3, 4, 5])
    expect(events.trades.map(({ timestamp }) => timestamp)).toEqual([T, T, T + 1_000, T + 1_000, T + 3_000])
  })

  it('plays as fast as it is taken at max, a piece of the file at a time', async () => {
    const { events } = await start(
      Array.from({ length: 20_000 }, (_, i) => line(i + 1, i * 1_000)),
      'max',
    )
    await until(() => expect(events.ends).toBe(1))
    expect(prices(events)).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1))
    expect(events.batches.length).toBeGreaterThan(3)
  })

  it('hands lines that are no trade over with their bytes', async () => {
    const { events } = await start([line(1, 0), 'AAPL,2,1', line(3, 0)], 'max')
    await until(() => expect(events.ends).toBe(1))
    expect(prices(events)).toEqual([1, 3])
    expect(events.rejected).toMatchObject([{ raw: Buffer.from('AAPL,2,1'), reason: 'line-fields' }])
    expect(events.batches.at(-1)!.rawOf(0).toString()).toBe(line(3, 0))
  })

  it('waits while paused, and the time of the pause does not count', async () => {
    const { source, events, clock } = await start([line(1, 0), line(2, 1_000), line(3, 2_000)], 1)
    await until(() => expect(prices(events)).toEqual([1]))
    source.pause()
    clock.advance(1_000)
    clock.advance(60_000)
    expect(prices(events)).toEqual([1])
    source.resume()
    for (const expected of [
      [1, 2],
      [1, 2, 3],
    ]) {
      await until(() => expect(clock.pendingMs).toEqual([1_000]))
      clock.advance(1_000)
      await until(() => expect(prices(events)).toEqual(expected))
    }
  })

  it('stops in the middle, and tells nothing more', async () => {
    const { source, events, clock } = await start([line(1, 0), line(2, 1_000)], 1)
    await until(() => expect(prices(events)).toEqual([1]))
    await source.stop()
    clock.advance(5_000)
    expect([prices(events), events.ends]).toEqual([[1], 0])
  })

  it('cannot go on when its file cannot be read', async () => {
    const events = new RecordedEvents()
    const metrics = new ProducerMetrics(new Registry(), () => 0)
    const file = join(directory, 'missing.csv')
    new RecordingSource({ file, speed: 1, metrics, log: recordLog().log }).start(events)
    await until(() => expect(events.fatal).toMatchObject([{ code: 'RECORDING' }]))
  })
})
