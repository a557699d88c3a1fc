import { describe, expect, it, vi } from 'vitest'
import { StreamsError } from '../errors.js'
import { ProcessingError, type ErrorDecision } from './error-handlers.js'
import { PoisonRecords } from './poison-records.js'

function failure(offset: number, partition = 0): ProcessingError {
  const where = { taskId: `0_${partition}`, node: 'map-values', topic: 'in', partition, offset, timestampMs: 0 }
  return new ProcessingError({ ...where, key: null, value: null, headers: [] }, new Error('poison'))
}

/** A task that has committed everything before the offset. */
function committedTask(id: string, next: number) {
  return { id, partition: Number(id.split('_')[1]), state: { progress: { inputs: { in: next }, clock: '{}' } } }
}

function createPoison(decision: ErrorDecision) {
  const decideAbout = vi.fn(() => decision)
  return { poison: new PoisonRecords(decideAbout), decideAbout }
}

describe('a record that fails', () => {
  it('is tried again twice, and only then decided about, once', () => {
    const { poison, decideAbout } = createPoison('dead-letter')
    expect([poison.failed(failure(5)), poison.failed(failure(5))]).toEqual([true, true])
    expect(poison.of('in', 0)).toEqual([])
    expect(decideAbout).not.toHaveBeenCalled()
    expect(poison.failed(failure(5))).toBe(true)
    expect(decideAbout).toHaveBeenCalledTimes(1)
    expect(decideAbout).toHaveBeenCalledWith(
      expect.objectContaining({ offset: 5 }),
      expect.objectContaining({ message: 'poison' }),
    )
    expect(poison.of('in', 0)).toMatchObject([{ offset: 5, decision: 'dead-letter', error: { message: 'poison' } }])
    expect(poison.of('in', 1), 'another partition').toEqual([])
  })

  it('stops the application the third time when that is decided', () => {
    const { poison } = createPoison('fail')
    expect([1, 2, 3].map(() => poison.failed(failure(5)))).toEqual([true, true, false])
    expect(poison.of('in', 0)).toEqual([])
  })

  it('stops the application when it fails once more although it was given up', () => {
    const { poison } = createPoison('continue')
    expect([1, 2, 3, 4].map(() => poison.failed(failure(5)))).toEqual([true, true, true, false])
  })

  it('is counted for itself, at its offset and partition', () => {
    const { poison } = createPoison('fail')
    for (const error of [failure(5), failure(5), failure(6), failure(6), failure(5, 1), failure(5, 1)]) {
      expect(poison.failed(error)).toBe(true)
    }
    expect(poison.failed(failure(6))).toBe(false)
  })

  it('stays decided about while another one of the same interval fails, until both are committed', () => {
    const { poison } = createPoison('continue')
    for (const offset of [5, 5, 5, 3, 3, 3]) poison.failed(failure(offset))
    expect(poison.of('in', 0)).toMatchObject([{ offset: 3 }, { offset: 5 }])
    poison.committed([committedTask('0_0', 5)])
    expect(poison.of('in', 0)).toMatchObject([{ offset: 5 }])
    poison.committed([committedTask('0_0', 6)])
    expect(poison.of('in', 0)).toEqual([])
  })
})

describe('an announcement that fails', () => {
  const announcement = (task: string) => new StreamsError('PROCESSING', 'unlucky', { task, store: 'sums', key: 'a' })

  it('stops the application the third time: there is no record to leave out', () => {
    const { poison, decideAbout } = createPoison('continue')
    expect([1, 2, 3].map(() => poison.failed(announcement('0_0')))).toEqual([true, true, false])
    expect(decideAbout).not.toHaveBeenCalled()
  })

  it('is forgotten when its task commits, not when another one does', () => {
    const { poison } = createPoison('continue')
    poison.failed(announcement('0_0'))
    poison.failed(announcement('0_0'))
    poison.committed([committedTask('0_0', 0)])
    expect([1, 2].map(() => poison.failed(announcement('0_0')))).toEqual([true, true])
    poison.committed([committedTask('0_1', 0)])
    expect(poison.failed(announcement('0_0'))).toBe(false)
  })
})
