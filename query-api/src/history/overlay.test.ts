import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bar, MINUTE } from '../testing/fixture.js'
import { overlay } from './overlay.js'

const at = (minute: number, fields = {}) => bar({ start: minute * MINUTE, closed: true, ...fields })
const ALL = { toMs: 1_000 * MINUTE, limit: 100 }

describe('of two words on the same bar', () => {
  test.each([
    ['closed beats open', at(1, { closed: false, trades: 9 }), at(1, { trades: 1 })],
    ['a later revision beats an earlier', at(1, { trades: 9 }), at(1, { revision: 1, trades: 1 })],
    ['more trades beat fewer', at(1, { trades: 1 }), at(1, { trades: 2 })],
  ])('%s, wherever it comes from', (_, older, newer) => {
    expect(overlay([older], [newer], ALL)).toEqual([newer])
    expect(overlay([newer], [older], ALL)).toEqual([newer])
  })

  test('equal ones are answered from the stores', () => {
    expect(overlay([at(1, { close: 1 })], [at(1, { close: 2 })], ALL)).toEqual([at(1, { close: 2 })])
  })
})

test('without from the last are kept, with from the first', () => {
  const [kept, live] = [
    [at(1), at(2)],
    [at(2), at(3)],
  ]
  expect(overlay(kept, live, { toMs: ALL.toMs, limit: 2 })).toEqual([at(2), at(3)])
  expect(overlay(kept, live, { fromMs: 0, toMs: ALL.toMs, limit: 2 })).toEqual([at(1), at(2)])
})

test('a live bar that only reaches into the range is left out', () => {
  const range = { fromMs: 2 * MINUTE, toMs: 3 * MINUTE, limit: 10 }
  expect(overlay([at(2)], [at(1), at(3), at(4)], range)).toEqual([at(2), at(3)])
})

test('is the same as asking one place that knows everything, wherever the boundary between them lies', () => {
  const minutes = fc.uniqueArray(fc.nat(60), { maxLength: 40 })
  const rangeOf = fc.record({ from: fc.option(fc.nat(60)), to: fc.nat(60), limit: fc.integer({ min: 1, max: 50 }) })
  fc.assert(
    fc.property(minutes, fc.nat(60), fc.nat(60), rangeOf, (starts, keptUpTo, liveFrom, { from, to, limit }) => {
      const all = starts.sort((a, b) => a - b).map((minute) => at(minute))
      const range = { ...(from !== null && { fromMs: from * MINUTE }), toMs: to * MINUTE, limit }
      const ask = (bars: typeof all) => {
        const inside = bars.filter(({ start }) => start >= (from ?? 0) * MINUTE && start <= range.toMs)
        return from === null ? inside.slice(-limit) : inside.slice(0, limit)
      }
      const kept = all.filter(({ start }) => start <= Math.max(keptUpTo, liveFrom) * MINUTE)
      const live = all.filter(({ start }) => start >= liveFrom * MINUTE)
      expect(overlay(ask(kept), ask(live), range)).toEqual(ask(all))
    }),
  )
})
