import { json } from '@candlewick/streams'

/** Why a card looks as if it were in the wrong hands; on the topic as JSON, under the card as its key. */
export type Alert =
  /** More payments within a window than anybody makes. */
  | { readonly rule: 'too-many'; readonly card: string; readonly windowStartMs: number; readonly payments: number }
  /** More money within a window than the limit. */
  | { readonly rule: 'too-much'; readonly card: string; readonly windowStartMs: number; readonly totalCents: number }
  /** One payment that is many times what this card usually pays. */
  | {
      readonly rule: 'unusual'
      readonly card: string
      readonly paymentId: string
      readonly amountCents: number
      readonly averageCents: number
    }

export const alertSerde = json<Alert>()

/** What makes two alerts the same: neither a crash nor a move of the card's partition may tell one twice. */
export function identityOf(alert: {
  rule: Alert['rule']
  card: string
  windowStartMs?: number
  paymentId?: string
}): string {
  const { rule, card, windowStartMs, paymentId } = alert
  return `${rule} ${card} ${rule === 'unusual' ? paymentId : windowStartMs}`
}
