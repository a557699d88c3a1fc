import type { Announcement } from '@candlewick/streams'
import type { Alert } from './alert.js'
import type { Payment } from './payment.js'

/** The limits; amounts in cents. */
export interface Rules {
  /** Payments are counted and added up in windows of this size. */
  windowMs: number
  /** How late a payment may come and still count in its window. */
  graceMs: number
  maxPayments: number
  maxTotalCents: number
  /** A payment is unusual when it is more than so many times the average of those before it ... */
  unusualFactor: number
  /** ... and there were at least so many. */
  unusualAfterPayments: number
}

export const RULES: Rules = {
  windowMs: 5 * 60_000,
  graceMs: 60_000,
  maxPayments: 10,
  maxTotalCents: 1_000_00,
  unusualFactor: 10,
  unusualAfterPayments: 5,
}

/** What a card has spent: within one window, or since it was first seen. */
export interface Spending {
  payments: number
  totalCents: number
}

export const nothingSpent = (): Spending => ({ payments: 0, totalCents: 0 })

/** Changes the spending in place, as aggregators may. */
export function addPayment(spending: Spending, { amountCents }: Payment): Spending {
  spending.payments++
  spending.totalCents += amountCents
  return spending
}

/** An alert that was told already: a window that is over a limit stays so with each further payment. */
export interface Told {
  rule: Alert['rule']
  windowStartMs: number
}

/** Tells of a window as soon as it is over a limit, once per limit. */
export function judgeWindow(rules: Rules) {
  // No older window than this can still change.
  const keptMs = rules.windowMs + rules.graceMs
  return (
    told: readonly Told[],
    { card, window, value }: { card: string } & Pick<Announcement<Spending>, 'window' | 'value'>,
    tell: (alert: Alert) => void,
  ): readonly Told[] => {
    const { startMs: windowStartMs } = window
    const isNew = (rule: Alert['rule']) => !told.some((one) => one.rule === rule && one.windowStartMs === windowStartMs)
    const alerts: Alert[] = []
    if (value.payments > rules.maxPayments && isNew('too-many')) {
      alerts.push({ rule: 'too-many', card, windowStartMs, payments: value.payments })
    }
    if (value.totalCents > rules.maxTotalCents && isNew('too-much')) {
      alerts.push({ rule: 'too-much', card, windowStartMs, totalCents: value.totalCents })
    }
    if (alerts.length === 0) return told
    alerts.forEach(tell)
    const recent = told.filter((one) => one.windowStartMs >= windowStartMs - keptMs)
    return [...recent, ...alerts.map(({ rule }) => ({ rule, windowStartMs }))]
  }
}

/** Tells of a payment that is far above what its card has paid so far, and adds it to that. */
export function judgePayment({ unusualFactor, unusualAfterPayments }: Rules) {
  return (soFar: Spending, payment: Payment, tell: (alert: Alert) => void): Spending => {
    const { id: paymentId, card, amountCents } = payment
    const averageCents = soFar.totalCents / soFar.payments
    if (soFar.payments >= unusualAfterPayments && amountCents > unusualFactor * averageCents) {
      tell({ rule: 'unusual', card, paymentId, amountCents, averageCents: Math.round(averageCents) })
    }
    return addPayment(soFar, payment)
  }
}
