import { byId, setData, setText } from './dom.js'
import { change, formatAge, formatAmount, formatMoment, formatPrice, priceDigits, splitSymbol } from './format.js'
import { quietFor, type Row } from './state.js'

/** The head of the board: the chosen symbol, its price, its day, and when it last traded. */
export class Quote {
  readonly #name = byId('name')
  readonly #venue = byId('venue')
  readonly #price = byId('price')
  readonly #change = byId('change')
  readonly #pulse = byId('pulse')
  readonly #day = {
    open: byId('day-open'),
    high: byId('day-high'),
    low: byId('day-low'),
    volume: byId('day-volume'),
    trades: byId('day-trades'),
  }
  #shown: Row | undefined

  /** Nothing is chosen yet: says what is waited for. */
  renderNothing(waitingFor: string): void {
    setText(this.#name, waitingFor)
    setText(this.#price, '')
  }

  /** @param isUnknown nobody knows the symbol */
  render(symbol: string, row: Row | undefined, nowMs: number, isUnknown: boolean): void {
    const { name, venue } = splitSymbol(symbol)
    setText(this.#name, name)
    setText(this.#venue, venue)
    setText(this.#pulse, isUnknown ? 'Unknown symbol' : pulse(row, nowMs))
    setData(this.#pulse, 'quiet', String(row !== undefined && quietFor(row, nowMs) !== null))
    if (row === this.#shown) return
    const sameSymbol = this.#shown?.symbol === row?.symbol
    if (row !== undefined && sameSymbol && this.#shown?.moves !== row.moves) {
      setData(this.#price, 'flash', row.direction + (row.moves % 2))
    }
    this.#shown = row
    const last = row?.last ?? null
    const day = row?.day ?? null
    const since = change(day?.open ?? null, last)
    const digits = priceDigits(last ?? 1)
    setText(this.#price, formatPrice(last))
    setText(this.#change, since.text === '' ? '' : `${since.text} today`)
    setData(this.#change, 'direction', since.direction)
    setText(this.#day.open, formatPrice(day?.open, digits))
    setText(this.#day.high, formatPrice(day?.high, digits))
    setText(this.#day.low, formatPrice(day?.low, digits))
    setText(this.#day.volume, formatAmount(day?.volume))
    setText(this.#day.trades, formatAmount(day?.trades))
  }
}

function pulse(row: Row | undefined, nowMs: number): string {
  if (row?.lastTime == null) return 'No trade yet'
  const quietMs = quietFor(row, nowMs)
  if (quietMs !== null) return `No trade since ${formatMoment(row.lastTime, nowMs)} (${formatAge(quietMs)} ago)`
  const age = formatAge(Math.max(0, nowMs - row.lastTime))
  return age === 'now' ? 'Last trade just now' : `Last trade ${formatMoment(row.lastTime, nowMs)}`
}
