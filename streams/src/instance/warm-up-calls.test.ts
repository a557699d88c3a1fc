import { describe, expect, it } from 'vitest'
import { WarmUpCalls } from './warm-up-calls.js'

/** At which whole seconds of these it calls, when the tasks are warm all the time. */
function callsOf(calls: WarmUpCalls, tasks: readonly string[], fromS: number, toS: number): number[] {
  const seconds = Array.from({ length: toS - fromS }, (_, n) => fromS + n)
  return seconds.filter((second) => calls.isDue(tasks, true, second * 1_000))
}

describe('a member that has warmed up', () => {
  it('calls at once, and not before it is warm', () => {
    const calls = new WarmUpCalls()
    expect(calls.isDue(['0_1'], false, 0)).toBe(false)
    expect(calls.isDue(['0_1'], true, 1)).toBe(true)
  })

  it('whose call is in vain calls again, less and less often', () => {
    const at = callsOf(new WarmUpCalls(), ['0_1'], 0, 3_600)
    const waits = at.slice(1).map((second, n) => second - at[n]!)
    expect(waits[0]).toBeGreaterThanOrEqual(8)
    expect(waits[0]).toBeLessThanOrEqual(10)
    expect(Math.max(...waits)).toBeLessThanOrEqual(600)
    expect(at.length).toBeLessThan(20)
    expect(at.at(-1)).toBeGreaterThan(2_400)
  })

  it('calls for other tasks at once, however often it has called in vain', () => {
    const calls = new WarmUpCalls()
    callsOf(calls, ['0_1'], 0, 3_600)
    expect(calls.isDue(['0_1', '0_2'], true, 3_600_000)).toBe(true)
    expect(callsOf(calls, ['0_1', '0_2'], 3_601, 3_613)).toHaveLength(1)
  })
})
