import { expect, it } from 'vitest'
import { RestoreProgress, type RestoreEvent } from './restore-progress.js'

function newProgress() {
  const time = { ms: 1_000 }
  const progress = new RestoreProgress(() => time.ms)
  const events: RestoreEvent[] = []
  progress.listen((event) => events.push(event))
  return { time, progress, events }
}

it('a restore is told from its beginning to its end, and is listed only in between', () => {
  const { time, progress, events } = newProgress()
  progress.report('0_1', { remaining: 1_000, applied: 0 })
  time.ms += 2_000
  progress.report('0_1', { remaining: 750, applied: 200 })
  const half = { task: '0_1', remaining: 750, recordsPerSecond: 100, etaSeconds: 6 }
  expect(progress.list()).toEqual([half])
  time.ms += 2_000
  progress.report('0_1', { remaining: 0, applied: 600 })
  progress.done('0_1')
  expect(progress.list()).toEqual([])
  const whole = { task: '0_1', remaining: 0, recordsPerSecond: 200, etaSeconds: 0, restored: 800 }
  expect(events).toEqual([
    { kind: 'started', task: '0_1', remaining: 1_000, restored: 0, recordsPerSecond: 0, etaSeconds: Infinity },
    { kind: 'progress', ...half, restored: 200 },
    { kind: 'progress', ...whole },
    { kind: 'completed', ...whole },
  ])
})

it('nobody knows how long a restore takes before its first chunk, however long that takes', () => {
  const { time, progress } = newProgress()
  progress.report('0_1', { remaining: 10, applied: 0 })
  const etas = [0, 5_000].map((ms) => {
    time.ms += ms
    return progress.list()[0]!.etaSeconds
  })
  expect(etas).toEqual([Infinity, Infinity])
})

it('a restore that ends before it is complete is suspended, and begins again with what is left', () => {
  const { time, progress, events } = newProgress()
  progress.report('0_1', { remaining: 10, applied: 0 })
  progress.report('0_1', { remaining: 4, applied: 6 })
  progress.done('0_1')
  time.ms += 60_000
  progress.report('0_1', { remaining: 4, applied: 0 })
  expect(events.map(({ kind, restored, remaining }) => [kind, restored, remaining])).toEqual([
    ['started', 0, 10],
    ['progress', 6, 4],
    ['suspended', 6, 4],
    ['started', 0, 4],
  ])
})

it('restores of several tasks do not mix, and the end of one that never began is not told', () => {
  const { progress, events } = newProgress()
  progress.report('0_1', { remaining: 10, applied: 0 })
  progress.report('0_2', { remaining: 20, applied: 0 })
  progress.done('0_3')
  progress.done('0_1')
  expect(progress.list()).toMatchObject([{ task: '0_2', remaining: 20 }])
  expect(events.map(({ kind, task }) => `${kind} ${task}`)).toEqual(['started 0_1', 'started 0_2', 'suspended 0_1'])
})
