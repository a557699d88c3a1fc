import { describe, expect, it } from 'vitest'
import { readSpeed, Schedule } from './speed.js'

const T = 1_381_190_400_374

describe('the speed of a recording', () => {
  it.each([
    ['1', 1],
    ['10', 10],
    ['0.5', 0.5],
    ['max', 'max'],
    ['0', undefined],
    ['-1', undefined],
    ['', undefined],
    ['fast', undefined],
    ['Infinity', undefined],
  ])('%s is %s', (text, speed) => {
    expect(readSpeed(text)).toBe(speed)
  })

  it('1 plays trades as far apart as they happened, 10 ten times as close, max at once', () => {
    for (const [speed, expected] of [
      [1, 5_000],
      [10, 500],
      ['max', 0],
    ] as const) {
      const schedule = new Schedule(speed)
      expect(schedule.waitMs(T, 1_000)).toBe(0)
      expect(schedule.waitMs(T + 5_000, 1_000)).toBe(expected)
    }
  })

  it('does not drift: what came late does not make the next later', () => {
    const schedule = new Schedule(1)
    schedule.waitMs(T, 0)
    expect(schedule.waitMs(T + 1_000, 1_700)).toBe(0)
    expect(schedule.waitMs(T + 2_000, 1_700)).toBe(300)
  })

  it('a trade out of order is due at once and changes nothing', () => {
    const schedule = new Schedule(1)
    schedule.waitMs(T, 0)
    expect(schedule.waitMs(T - 3_000, 100)).toBe(0)
    expect(schedule.waitMs(T + 200, 100)).toBe(100)
  })

  it('broken times hold nothing up', () => {
    const schedule = new Schedule(1)
    expect(schedule.waitMs(1, 0)).toBe(0)
    expect(schedule.waitMs(T, 0)).toBe(0)
    for (const broken of [9e15, 1e300, NaN, Infinity, -5, 'x', undefined]) expect(schedule.waitMs(broken, 0)).toBe(0)
  })

  it('time that nobody listened does not count', () => {
    const schedule = new Schedule(1)
    schedule.waitMs(T, 0)
    schedule.shift(10_000)
    expect(schedule.waitMs(T + 1_000, 10_000)).toBe(1_000)
  })
})
