import type { Query } from '@candlewick/streams/queries/query-server'
import { cards, windows } from './topology.js'

/** `GET /queries/card?key=<card>`: what it has spent in all, and in its last windows, the newest first. */
export const card: Query = {
  store: cards,
  async ask(view, { key = '' }) {
    const spent = view.keyValue(cards).get(key)
    if (spent === undefined) return undefined
    const last = await view.window(windows).fetch(key, 0, Number.MAX_SAFE_INTEGER, { limit: 5, reverse: true })
    return {
      card: key,
      ...spent,
      averageCents: Math.round(spent.totalCents / spent.payments),
      windows: last.map(({ startMs, value }) => ({ start: new Date(startMs).toISOString(), ...value })),
    }
  },
}
