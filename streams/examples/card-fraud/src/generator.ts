import { identityOf, type Alert } from './alert.js'
import type { Payment } from './payment.js'
import { RULES } from './rules.js'

/** What the generator puts on the topic next. */
export type Generated =
  | { readonly kind: 'payment'; readonly payment: Payment }
  /** Bytes that are no payment, under a card as their key. */
  | { readonly kind: 'garbage'; readonly card: string; readonly text: string }

const CARDS = 200
/** By the clock of the payments, every card pays once a minute: at most five times in a window. */
const ROUND_MS = 60_000
const SLOT_MS = ROUND_MS / CARDS
/** So many rounds are honest; from then on a card is stolen in every second one, each card once. */
const HONEST_ROUNDS = 5
const ROUNDS_PER_FRAUD = 2
const GARBAGE_EVERY = 250
/** 20 to 40 euros: far from every limit of RULES. */
const USUAL_CENTS = { from: 2_000, to: 4_000 }

/** What a thief does, each kind over one limit and below the others. */
const FRAUDS: readonly { rule: Alert['rule']; amountsCents: readonly number[] }[] = [
  { rule: 'too-many', amountsCents: Array<number>(12).fill(100) },
  { rule: 'too-much', amountsCents: Array<number>(6).fill(180_00) },
  { rule: 'unusual', amountsCents: [500_00] },
]

export interface GeneratorOptions {
  /** Chooses the amounts. */
  seed: number
  /** Stands in the names of the cards: another run has other cards. */
  run: string
  /** Time of the first payment, or of the window it lies in. */
  startMs: number
}

/** Payments as cards make them, in the order of their times, with frauds and garbage among them. */
export class PaymentGenerator {
  /** The alerts that what was generated so far has to lead to, and no others. */
  readonly planted: string[] = []
  garbage = 0
  readonly #random: () => number
  readonly #run: string
  readonly #startMs: number
  #payments = 0

  constructor({ seed, run, startMs }: GeneratorOptions) {
    this.#random = randomOf(seed)
    this.#run = run
    this.#startMs = startMs - (startMs % RULES.windowMs)
  }

  /** Without end. */
  *generate(): Generator<Generated, never> {
    for (let round = 0; ; round++) {
      const stolen = stolenIn(round)
      for (let slot = 0; slot < CARDS; slot++) {
        const card = `card-${this.#run}-${slot}`
        const timeMs = this.#startMs + round * ROUND_MS + slot * SLOT_MS
        if (slot === stolen) yield* this.#steal(card, timeMs, FRAUDS[slot % FRAUDS.length]!)
        else yield this.#payment(card, timeMs, this.#usualCents())
        if (this.#payments % GARBAGE_EVERY === 0) {
          this.garbage++
          yield { kind: 'garbage', card, text: `{"card":"${card}","amountCents":"a lot"` }
        }
      }
    }
  }

  *#steal(card: string, timeMs: number, { rule, amountsCents }: (typeof FRAUDS)[number]) {
    const windowStartMs = timeMs - (timeMs % RULES.windowMs)
    for (const [at, amountCents] of amountsCents.entries()) {
      yield this.#payment(card, timeMs + at, amountCents)
    }
    this.planted.push(identityOf({ rule, card, windowStartMs, paymentId: this.#lastId }))
  }

  #payment(card: string, timeMs: number, amountCents: number): Generated {
    this.#payments++
    return { kind: 'payment', payment: { id: this.#lastId, card, amountCents, timeMs } }
  }

  get #lastId(): string {
    return `${this.#run}-${this.#payments}`
  }

  #usualCents(): number {
    return USUAL_CENTS.from + Math.floor(this.#random() * (USUAL_CENTS.to - USUAL_CENTS.from))
  }
}

/** The card that is stolen in a round; undefined = none. */
function stolenIn(round: number): number | undefined {
  const since = round - HONEST_ROUNDS
  return since >= 0 && since % ROUNDS_PER_FRAUD === 0 ? since / ROUNDS_PER_FRAUD : undefined
}

/** Mulberry32: the same numbers from 0 to 1 for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
