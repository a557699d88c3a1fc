import { axisSeconds } from './chart-data.js'
import { byId, make, setData, setText } from './dom.js'
import { change, formatAmount, formatMinute, formatPrice, formatUtcDate } from './format.js'
import type { Bar } from './protocol.js'

const NAMES = ['', 'O', 'H', 'L', 'C', 'Vol', 'VWAP', ''] as const

/** One bar in numbers, above the chart: the one under the pointer, or the newest. */
export class Legend {
  readonly #element = byId('legend')
  readonly #values: HTMLElement[]

  constructor() {
    this.#values = NAMES.map((name) => {
      const value = make('b')
      const part = make('span')
      part.append(name === '' ? '' : `${name} `, value)
      this.#element.append(part)
      return value
    })
  }

  render(bar: Bar | undefined, digits: number, nowMs: number): void {
    this.#element.hidden = bar === undefined
    if (bar === undefined) return
    const move = change(bar.open, bar.close)
    const prices = [bar.open, bar.high, bar.low, bar.close].map((price) => formatPrice(price, digits))
    const isDay = bar.interval === '1d'
    const start = isDay ? formatUtcDate(axisSeconds(bar.start, '1d', 0) * 1000) : formatMinute(bar.start, nowMs)
    const texts = [start, ...prices, formatAmount(bar.volume), formatPrice(bar.vwap, digits), move.text]
    this.#values.forEach((value, at) => setText(value, texts[at] ?? ''))
    setData(this.#element, 'direction', move.direction)
  }
}
