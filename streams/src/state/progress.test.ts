import { expect, it } from 'vitest'
import { decodeProgress, encodeProgress, newest } from './progress.js'

it('the input that a state belongs to is read back from its changelog as it was written', () => {
  const progress = { inputs: { 'trades-ü': 2 ** 40, quotes: 0 }, clock: '{"streamTimeMs":7}' }
  expect(decodeProgress(encodeProgress(progress))).toEqual(progress)
})

it.each([
  '',
  'nonsense',
  'null',
  '[]',
  '{"inputs":{"in":1}}',
  '{"clock":"{}"}',
  '{"inputs":null,"clock":"{}"}',
  '{"inputs":7,"clock":"{}"}',
  '{"inputs":{},"clock":7}',
])('a header that something else wrote is no progress: %j', (text) => {
  expect(decodeProgress(Buffer.from(text))).toBeUndefined()
})

it('of several points of one task the state belongs to the one that has read most, whichever was told first', () => {
  const early = { inputs: { trades: 10, quotes: 3 }, clock: 'early' }
  const late = { inputs: { trades: 10, quotes: 4 }, clock: 'late' }
  expect([newest([early, late]), newest([late, early])]).toEqual([late, late])
  expect(newest([])).toBeUndefined()
})
