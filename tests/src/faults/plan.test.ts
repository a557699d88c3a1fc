import { describe, expect, test } from 'vitest'
import { planFaults, type Step } from './plan.js'
import { SCENES, type Scene } from './scenes.js'

const PROCESSORS = 3
const plan = (seed: string, minutes: number) =>
  planFaults({ seed, durationMs: minutes * 60_000, processors: PROCESSORS })
const SEEDS = Array.from({ length: 40 }, (_, seed) => String(seed))

test('the same seed gives the same faults at the same times, another seed others', () => {
  expect(plan('a', 10)).toEqual(plan('a', 10))
  expect(plan('a', 10)).not.toEqual(plan('b', 10))
})

test('an hour has every kind of fault, many times', () => {
  for (const seed of SEEDS.slice(0, 5)) {
    const times = new Map<Scene, number>()
    for (const { scene } of plan(seed, 60)) times.set(scene, (times.get(scene) ?? 0) + 1)
    for (const scene of Object.keys(SCENES) as Scene[]) expect(times.get(scene), scene).toBeGreaterThan(10)
  }
})

describe.each([0.5, 1, 3, 10])('in a plan of %s minutes', (minutes) => {
  test('all lies within the time', () => {
    for (const seed of SEEDS) {
      for (const { atMs } of plan(seed, minutes)) expect(atMs >= 0 && atMs <= minutes * 60_000).toBe(true)
    }
  })

  test('only what runs is ended or frozen, only what is down is started, and in the end all is up and connected', () => {
    for (const seed of SEEDS) {
      const state = new Map<string, string>()
      for (const step of plan(seed, minutes)) {
        const [what, before] = CHANGES[step.what]!
        const whom = whose(step)
        expect([seed, step, before.includes(state.get(whom) ?? 'well')]).toEqual([seed, step, true])
        state.set(whom, what)
      }
      expect([...state.values()].filter((what) => what !== 'well')).toEqual([])
    }
  })

  test('while Cassandra is bounced nothing else is done', () => {
    for (const seed of SEEDS) {
      const steps = plan(seed, minutes)
      const bounce = steps.filter((step) => 'server' in step && step.server === 'cassandra')
      expect(bounce.length).toBeGreaterThan(0)
      const [first, last] = [bounce[0]!.atMs, bounce[1]!.atMs]
      expect(steps.filter(({ atMs }) => atMs >= first && atMs <= last)).toEqual(bounce.slice(0, 2))
    }
  })
})

test('a storm is ten joins and leaves within a minute', () => {
  const storms = SEEDS.flatMap((seed) => plan(seed, 10)).filter(({ scene }) => scene === 'storm')
  expect(storms.length).toBeGreaterThan(0)
  for (const seed of SEEDS) {
    const storm = plan(seed, 10).filter(({ scene }) => scene === 'storm')
    if (storm.length === 0) continue
    expect(storm.length).toBeGreaterThanOrEqual(10)
    expect(storm[9]!.atMs - storm[0]!.atMs).toBeLessThan(60_000)
  }
})

/** What becomes of it, and in which states it may be done. */
const CHANGES: Record<Step['what'], [string, string[]]> = {
  kill: ['down', ['well']],
  terminate: ['down', ['well']],
  'delete state': ['down', ['down']],
  start: ['well', ['down']],
  stop: ['frozen', ['well']],
  continue: ['well', ['frozen']],
  cut: ['well', ['well']],
  isolate: ['isolated', ['well']],
  'reconnect, deliver late': ['well', ['isolated']],
  'reconnect, drop': ['well', ['isolated']],
}

/** Processes and their links are in a state of their own. */
function whose(step: Step): string {
  if ('server' in step) return step.server
  const isLink = ['cut', 'isolate', 'reconnect, deliver late', 'reconnect, drop'].includes(step.what)
  return `${isLink ? 'link' : 'process'} ${step.processor}`
}
