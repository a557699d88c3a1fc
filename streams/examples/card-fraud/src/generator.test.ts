import { expect, test } from 'vitest'
import { PaymentGenerator } from './generator.js'
import { take } from './sender.js'

function generate(seed: number, count: number) {
  const generator = new PaymentGenerator({ seed, run: 'a', startMs: 1_800_000_123_456 })
  return { generator, items: [...take(generator.generate(), count)] }
}

test('the same seed makes the same payments', () => {
  expect(generate(1, 500).items).toEqual(generate(1, 500).items)
  expect(generate(2, 500).items).not.toEqual(generate(1, 500).items)
})

test('payments come in the order of their times', () => {
  const times = generate(1, 5_000).items.flatMap((item) => (item.kind === 'payment' ? [item.payment.timeMs] : []))
  expect(times).toEqual(times.toSorted((a, b) => a - b))
})

test('every kind of fraud is planted, each on a card of its own, and some garbage', () => {
  const { generator } = generate(1, 5_000)
  expect(new Set(generator.planted.map((identity) => identity.split(' ')[0]))).toEqual(
    new Set(['too-many', 'too-much', 'unusual']),
  )
  expect(new Set(generator.planted.map((identity) => identity.split(' ')[1])).size).toBe(generator.planted.length)
  expect(generator.garbage).toBeGreaterThan(10)
})
