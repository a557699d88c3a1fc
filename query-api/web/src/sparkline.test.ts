import { describe, expect, it } from 'vitest'
import { addPoint, emptySparkline, polylinePoints } from './sparkline.js'

const T0 = 1_700_000_000_000

describe('a sparkline', () => {
  it('keeps one point for ten seconds: the newest', () => {
    const line = emptySparkline()
    addPoint(line, T0, 1)
    addPoint(line, T0 + 9_999, 2)
    addPoint(line, T0 + 10_000, 3)
    expect(line.prices).toEqual([2, 3])
  })

  it('forgets what is more than an hour older than the newest, so it stays small', () => {
    const line = emptySparkline()
    for (let second = 0; second <= 7200; second++) addPoint(line, T0 + second * 1000, second)
    expect(line.times.length).toBeLessThanOrEqual(361)
    expect(line.times[0]).toBeGreaterThanOrEqual(T0 + 3_600_000)
  })

  it('leaves out what comes late', () => {
    const line = emptySparkline()
    addPoint(line, T0, 1)
    addPoint(line, T0 - 60_000, 9)
    expect(line.prices).toEqual([1])
  })

  it('is drawn over its time, the highest price at the top', () => {
    const line = { times: [T0, T0 + 10_000, T0 + 40_000], prices: [1, 3, 2] }
    expect(polylinePoints(line, 40, 20)).toBe('0.0,19.0 10.0,1.0 40.0,10.0')
  })

  it('is level when the price is, and nothing when there is one point', () => {
    expect(polylinePoints({ times: [T0, T0 + 10_000], prices: [5, 5] }, 10, 20)).toBe('0.0,10.0 10.0,10.0')
    expect(polylinePoints({ times: [T0], prices: [5] }, 10, 20)).toBe('')
  })
})
