import { beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '@candlewick/streams'
import { TopologyTestDriver } from '@candlewick/streams/testing/topology-test-driver'
import { AlertCheck } from './alert-check.js'
import { alertSerde, type Alert } from './alert.js'
import { PaymentGenerator } from './generator.js'
import { card as cardQuery } from './queries.js'
import { RULES } from './rules.js'
import { take } from './sender.js'
import { fraudTopology } from './topology.js'

const NOON_MS = Date.UTC(2026, 0, 5, 12)
let driver: TopologyTestDriver
let payments: number
beforeEach(() => {
  driver = new TopologyTestDriver(fraudTopology(), { wallClockMs: NOON_MS })
  payments = 0
})

function pay(amountCents: number, { card = 'c', afterMs = 0 } = {}): void {
  const payment = { id: `p${++payments}`, card, amountCents, timeMs: NOON_MS + afterMs }
  driver.pipe('payments', { key: card, value: payment })
}

function alerts(): Alert[] {
  return driver.readOutput('fraud-alerts', { key: utf8, value: alertSerde }).map(({ value }) => value)
}

describe('a window', () => {
  test('with more payments than anybody makes is told of at the next commit, once', async () => {
    for (let n = 0; n < RULES.maxPayments; n++) pay(100)
    await driver.commit()
    expect(alerts()).toEqual([])
    pay(100)
    await driver.commit()
    expect(alerts()).toEqual([{ rule: 'too-many', card: 'c', windowStartMs: NOON_MS, payments: 11 }])
    pay(100)
    await driver.commit()
    await driver.advanceWallClock(3_600_000)
    expect(alerts(), 'also when it goes on, and is closed').toEqual([])
  })

  test('may be over both limits, and then both are told', async () => {
    for (let n = 0; n < 11; n++) pay(100_00)
    await driver.commit()
    expect(alerts().map(({ rule }) => rule)).toEqual(['too-many', 'too-much'])
  })

  test('begins with nothing: what lies in two of them is not added up, nor is that of two cards', async () => {
    for (let n = 0; n < 20; n++) pay(60_00, { afterMs: RULES.windowMs - 10 + n, card: n % 4 < 2 ? 'c' : 'd' })
    await driver.commit()
    expect(alerts()).toEqual([])
  })

  test('counts a payment that comes late, within the grace', async () => {
    for (let n = 0; n < 10; n++) pay(100)
    pay(100, { afterMs: RULES.windowMs + RULES.graceMs - 1 })
    pay(100)
    await driver.commit()
    expect(alerts().map(({ rule }) => rule)).toEqual(['too-many'])
    pay(100, { afterMs: RULES.windowMs + RULES.graceMs })
    pay(100, { afterMs: 0 })
    expect(driver.lateRecords).toBe(1)
  })

  test('is not told of again by whoever takes over', async () => {
    for (let n = 0; n < 11; n++) pay(100)
    await driver.commit()
    expect(alerts()).toHaveLength(1)
    await driver.restart()
    await driver.commit()
    pay(100)
    await driver.commit()
    expect(alerts()).toEqual([])
  })
})

describe('an unusual payment', () => {
  test('is told of at once', () => {
    for (let n = 0; n < 5; n++) pay(10_00)
    pay(100_01)
    expect(alerts()).toEqual([
      { rule: 'unusual', card: 'c', paymentId: 'p6', amountCents: 100_01, averageCents: 10_00 },
    ])
  })

  test('is none of a card that has hardly paid yet, nor at the limit itself', () => {
    for (let n = 0; n < 4; n++) pay(10_00)
    pay(100_01)
    for (let n = 0; n < 5; n++) pay(10_00, { card: 'd' })
    pay(100_00, { card: 'd' })
    expect(alerts()).toEqual([])
  })
})

test('what is no payment goes to the dead letters and stops nothing', async () => {
  for (const value of ['{', '{"id":"x","card":"c","amountCents":-1,"timeMs":1}']) {
    driver.pipe('payments', { key: 'c', value: Buffer.from(value) })
  }
  driver.pipe('payments', { key: 'c', value: { id: 'x', card: 'of somebody else', amountCents: 1, timeMs: NOON_MS } })
  pay(10_00)
  await driver.commit()
  expect(driver.readRaw('payments.dlq')).toHaveLength(3)
  expect(await cardQuery.ask(driver.view(), { key: 'c', params: {} })).toMatchObject({ payments: 1 })
})

test('a card can be asked about: all it has spent, and its last windows', async () => {
  pay(10_00)
  pay(20_00, { afterMs: RULES.windowMs })
  await driver.commit()
  expect(await cardQuery.ask(driver.view(), { key: 'c', params: {} })).toEqual({
    card: 'c',
    payments: 2,
    totalCents: 30_00,
    averageCents: 15_00,
    windows: [
      { start: '2026-01-05T12:05:00.000Z', payments: 1, totalCents: 20_00 },
      { start: '2026-01-05T12:00:00.000Z', payments: 1, totalCents: 10_00 },
    ],
  })
  expect(await cardQuery.ask(driver.view(), { key: 'nobody', params: {} })).toBeUndefined()
})

test('of the made up payments the planted frauds are told of, each once, and nothing else', async () => {
  const generator = new PaymentGenerator({ seed: 3, run: 'a', startMs: NOON_MS })
  const check = new AlertCheck()
  for (const [at, item] of [...take(generator.generate(), 4_000)].entries()) {
    if (item.kind === 'payment') driver.pipe('payments', { key: item.payment.card, value: item.payment })
    else driver.pipe('payments', { key: item.card, value: Buffer.from(item.text) })
    if (at % 40 === 0) await driver.commit()
    if (at % 800 === 0) await driver.restart()
  }
  await driver.commit()
  alerts().forEach((alert) => check.add(alert))
  expect(generator.planted.length).toBeGreaterThan(5)
  expect(check.compare(generator.planted)).toEqual({ missing: [], unexpected: [], repeated: [] })
  expect(driver.readRaw('payments.dlq')).toHaveLength(generator.garbage)
})
