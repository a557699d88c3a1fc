import { describe, expect, it } from 'vitest'
import { QuietPartitions } from './quiet-partitions.js'
import type { StreamTask } from './stream-task.js'

const DUE_AFTER_MS = 1_000

interface Answer {
  position: number
  lastStableOffset: number
  highWatermark: number
  atMs: number
}

/** A task that has read up to offset 10 at 0 ms, and whose window is due after a second of quiet. */
function createQuiet(topics = ['in']) {
  const answers = new Map<string, Answer>()
  const advanced: number[] = []
  const task = {
    inputs: topics.map((topic) => ({ topic, partition: 0, offset: 10 })),
    lastRecordAtMs: 0,
    processor: {
      quietUntilDueMs: DUE_AFTER_MS,
      quietFor(ms: number) {
        advanced.push(ms)
        return true
      },
    },
  } as unknown as StreamTask
  const quiet = new QuietPartitions({ answered: (topic: string) => answers.get(topic) } as never)
  /** A fetch answered at this time, with these ends of the log. */
  function answer(atMs: number, ends: Partial<Answer> = {}, topic = 'in'): void {
    answers.set(topic, { position: 10, lastStableOffset: 10, highWatermark: 10, atMs, ...ends })
  }
  return { quiet, task, answer, advanced }
}

describe('a quiet partition', () => {
  it('closes its window when fetches have said for long enough that nothing more is there, and not before', () => {
    const { quiet, task, answer, advanced } = createQuiet()
    answer(999)
    expect(quiet.advance(task)).toBe(false)
    answer(1_000)
    expect(quiet.dueAmong([task], 1_000)).toBe(true)
    expect(quiet.advance(task)).toBe(true)
    expect(advanced).toEqual([1_000])
  })

  it('is quiet only as long as a fetch has said so: a broker that is away closes nothing, however long', () => {
    const { quiet, task, answer, advanced } = createQuiet()
    expect(quiet.dueAmong([task], 60_000), 'before the first answer').toBe(false)
    answer(500)
    expect(quiet.dueAmong([task], 120_000), 'no answer since').toBe(false)
    expect(quiet.advance(task)).toBe(false)
    expect(advanced).toEqual([])
    answer(120_000)
    expect(quiet.dueAmong([task], 121_000), 'it answers again').toBe(true)
  })

  it('is not quiet while a transaction is open on it: its records come with the old timestamps', () => {
    const { quiet, task, answer } = createQuiet()
    answer(60_000, { highWatermark: 12 })
    expect(quiet.dueAmong([task], 60_000)).toBe(false)
    expect(quiet.advance(task)).toBe(false)
    // It was ended: what it wrote is to be read first.
    answer(60_100, { highWatermark: 12, lastStableOffset: 12 })
    expect(quiet.advance(task)).toBe(false)
  })

  it('is not quiet while what was fetched is not processed', () => {
    const { quiet, task, answer } = createQuiet()
    answer(60_000, { position: 12, lastStableOffset: 12, highWatermark: 12 })
    expect(quiet.advance(task)).toBe(false)
  })

  it('of a task that reads several topics counts when all of them are quiet', () => {
    const { quiet, task, answer } = createQuiet(['in', 'other'])
    answer(60_000)
    expect(quiet.advance(task)).toBe(false)
    answer(500, {}, 'other')
    expect(quiet.advance(task)).toBe(false)
    answer(1_000, {}, 'other')
    expect(quiet.advance(task)).toBe(true)
  })

  it('is looked at a few times a second, not at every step', () => {
    const { quiet, task, answer } = createQuiet()
    expect(quiet.dueAmong([task], 2_000)).toBe(false)
    answer(2_000)
    expect(quiet.dueAmong([task], 2_050)).toBe(false)
    expect(quiet.dueAmong([task], 2_100)).toBe(true)
  })
})
