import { expect, it } from 'vitest'
import type { ResetPlan } from './reset-plan.js'
import { planText } from './reset-text.js'

const plan: ResetPlan = {
  applicationId: 'app',
  target: { kind: 'earliest' },
  groupExists: true,
  offsets: [{ topic: 'in', partition: 0, from: 7, to: 0 }],
  internalOffsets: [],
  internalTopics: ['app-sums-changelog', 'app-eu-sums-changelog'],
  stores: ['sums'],
  othersTopics: [],
  local: [],
  looksAtLocal: false,
  unfinished: false,
  obstacles: [],
}

it('topics that nothing but their names speaks for are told apart: they may be those of an application at rest', () => {
  const text = planText(plan)
  const heading = text.findIndex((line) => line.includes('names alone'))
  expect(text.indexOf('  app-sums-changelog')).toBeLessThan(heading)
  expect(text.indexOf('  app-eu-sums-changelog')).toBeGreaterThan(heading)
  expect(planText({ ...plan, stores: ['sums', 'eu-sums'] }).join()).not.toContain('names alone')
})

it('with no offsets left, state of tasks without stores has to be deleted by hand, and that is said', () => {
  expect(planText(plan).join()).not.toContain('delete the state directories')
  expect(planText({ ...plan, target: { kind: 'none' } }).join()).toContain('delete the state directories')
})

it('topics that the application both writes and reads have to be emptied where old records are read again, and that is said', () => {
  const warning = 'a topic that the application both writes and reads has to be emptied first'
  for (const kind of ['earliest', 'none'] as const)
    expect(planText({ ...plan, target: { kind } }).join()).toContain(warning)
  expect(planText({ ...plan, target: { kind: 'time', timestampMs: 0 } }).join()).toContain(warning)
  expect(planText({ ...plan, target: { kind: 'latest' } }).join()).not.toContain(warning)
})
