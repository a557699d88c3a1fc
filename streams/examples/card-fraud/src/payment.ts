import { json } from '@candlewick/streams'

/** A card payment as it stands on the topic: JSON, under the card as its key. */
export interface Payment {
  id: string
  card: string
  amountCents: number
  /** When it was made, epoch ms. */
  timeMs: number
}

export const paymentSerde = json(asPayment)

/** What a payment has to be: whatever is on the topic that is none goes to the dead letters. */
function asPayment(value: unknown): Payment {
  const { id, card, amountCents, timeMs } = (value ?? {}) as Partial<Record<keyof Payment, unknown>>
  if (typeof id !== 'string' || typeof card !== 'string') throw new TypeError('a payment needs an id and a card')
  if (!isWhole(amountCents) || amountCents <= 0) throw new TypeError('amountCents must be a whole number above 0')
  if (!isWhole(timeMs)) throw new TypeError('timeMs must be an epoch time in ms')
  return { id, card, amountCents, timeMs }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
