import { describe, expect, it, vi } from 'vitest'
import { StreamsError } from '../errors.js'
import { ProcessingError, type ErrorDecision } from './error-handlers.js'
import { PoisonRecords } from './poison-records.js'

function failure(offset: number, partition = 0): ProcessingError {
  const where = { taskId: `0_${partition}`, node: 'map-values', topic: 'in', partition, offset, timestampMs: 0 }
  return new ProcessingError({ ...where, key: null, value: null, headers: [] }, new Error('poison'))
}

function createPoison(decision: ErrorDecision) {
  const decideAbout = vi.fn(() => decision)
  return { poison: new PoisonRecords(decideAbout), decideAbout }
}

describe('a record that fails', () => {
  it('is tried again twice, and only then decided about, once', () => {
    const { poison, decideAbout } = createPoison('dead-letter')
    expect([poison.failed(failure(5)), poison.failed(failure(5))]).toEqual([true, true])
    expect(poison.of('in', 0)).toBeUndefined()
    expect(decideAbout).not.toHaveBeenCalled()
    expect(poison.failed(failure(5))).toBe(true)
    expect(decideAbout).toHaveBeenCalledTimes(1)
    expect(decideAbout).toHaveBeenCalledWith(
      expect.objectContaining({ offset: 5 }),
      expect.objectContaining({ message: 'poison' }),
    )
    expect(poison.of('in', 0)).toMatchObject({ offset: 5, decision: 'dead-letter', error: { message: 'poison' } })
    expect(poison.of('in', 1), 'another partition').toBeUndefined()
  })

  it('stops the application the third time when that is decided', () => {
    const { poison } = createPoison('fail')
    expect([1, 2, 3].map(() => poison.failed(failure(5)))).toEqual([true, true, false])
    expect(poison.of('in', 0)).toBeUndefined()
  })

  it('stops the application when it fails once more although it was given up', () => {
    const { poison } = createPoison('continue')
    expect([1, 2, 3, 4].map(() => poison.failed(failure(5)))).toEqual([true, true, true, false])
  })

  it('begins anew at another offset of its partition, and partitions are counted apart', () => {
    const { poison } = createPoison('fail')
    for (const error of [failure(5), failure(5), failure(6), failure(6), failure(5, 1), failure(5, 1)]) {
      expect(poison.failed(error)).toBe(true)
    }
    expect(poison.failed(failure(6))).toBe(false)
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
    poison.committed([{ id: '0_0' }])
    expect([1, 2].map(() => poison.failed(announcement('0_0')))).toEqual([true, true])
    poison.committed([{ id: '0_1' }])
    expect(poison.failed(announcement('0_0'))).toBe(false)
  })
})
