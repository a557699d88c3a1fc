import { byId, make, setText } from './dom.js'
import { formatAmount, formatMoment, formatPrice } from './format.js'
import {
  AVERAGE_WINDOWS,
  type AverageAnswer,
  type AverageWindow,
  getAverage,
  poll,
  retryDelayMs,
  type Source,
} from './rest.js'

/** The running averages of the chosen symbol, asked of the processor that owns it, one card a window. */

const EVERY_MS = 1000
const NAMES: Readonly<Record<AverageWindow, string>> = {
  '1m': 'Last minute',
  '5m': 'Last 5 minutes',
  '1h': 'Last hour',
  all: 'All trades',
}

interface Card {
  readonly button: HTMLButtonElement
  readonly vwap: HTMLElement
  readonly mean: HTMLElement
  readonly trades: HTMLElement
  readonly volume: HTMLElement
  readonly value: HTMLElement
  readonly covers: HTMLElement
}

export class AveragePanel {
  readonly #source = byId('source')
  readonly #cards = new Map<AverageWindow, Card>()
  readonly #onDrawn: (window: AverageWindow, average: AverageAnswer | undefined) => void
  readonly #answers = new Map<AverageWindow, AverageAnswer>()
  #polling: AbortController | undefined
  #drawn: AverageWindow = '1h'
  #digits = 2

  /** `onDrawn` hears the averages of the window to be drawn on the chart, whenever they or the window change. */
  constructor(onDrawn: (window: AverageWindow, average: AverageAnswer | undefined) => void) {
    this.#onDrawn = onDrawn
    for (const window of AVERAGE_WINDOWS) this.#cards.set(window, this.#makeCard(window))
    this.#press()
    this.#render()
  }

  /** Forgets the symbol and asks no more. */
  clear(): void {
    this.#polling?.abort()
    this.#answers.clear()
    this.#say('ok', '')
    this.#render()
  }

  /** Asks for this symbol's averages from now on. */
  show(symbol: string): void {
    this.clear()
    const polling = (this.#polling = new AbortController())
    let failures = 0
    void poll(polling.signal, async () => {
      const answers = await Promise.all(AVERAGE_WINDOWS.map((window) => getAverage(symbol, window, polling.signal)))
      if (polling.signal.aborted) return 0
      answers.forEach((answer, at) => answer.kind === 'ok' && this.#answers.set(AVERAGE_WINDOWS[at]!, answer.value))
      this.#render()
      const worst = answers.find((answer) => answer.kind !== 'ok')
      if (worst === undefined) {
        failures = 0
        this.#saySource([...this.#answers.values()].map((average) => average.source))
        return EVERY_MS
      }
      if (worst.kind === 'restoring') {
        this.#say('restoring', `Being restored, asked again in ${Math.ceil(worst.retryAfterMs / 1000)} s`)
        return worst.retryAfterMs
      }
      this.#say(
        'quiet',
        { away: 'No answer from the API', 'not-found': 'No trades yet', refused: 'Not available' }[worst.kind],
      )
      return retryDelayMs(failures++)
    })
  }

  /** How many decimals prices are written with. */
  setDigits(digits: number): void {
    this.#digits = digits
    this.#render()
  }

  #render(): void {
    const nowMs = Date.now()
    for (const [window, card] of this.#cards) {
      const average = this.#answers.get(window)
      setText(card.vwap, formatPrice(average?.vwap, this.#digits))
      setText(card.mean, formatPrice(average?.mean, this.#digits))
      setText(card.trades, formatAmount(average?.count))
      setText(card.volume, formatAmount(average?.volume))
      setText(card.value, formatAmount(average?.priceVolumeMean))
      setText(card.covers, covers(average, nowMs))
    }
    this.#onDrawn(this.#drawn, this.#answers.get(this.#drawn))
  }

  #saySource(sources: readonly (Source | undefined)[]): void {
    const source = sources.find((each) => each !== undefined)
    if (source === undefined) return this.#say('ok', '')
    const { instance, role, staleMs } = source
    if (role === 'active') return this.#say('ok', `Answered by ${instance}`)
    this.#say('restoring', `Answered by ${instance}, a standby ${(staleMs / 1000).toFixed(1)} s behind`)
  }

  #say(state: 'ok' | 'restoring' | 'quiet', text: string): void {
    setText(this.#source, text)
    this.#source.dataset['state'] = state
  }

  #makeCard(window: AverageWindow): Card {
    const card = make('article', 'card')
    const button = make('button', 'window', NAMES[window])
    button.type = 'button'
    button.title = 'Draw on the chart'
    card.dataset['window'] = window
    button.addEventListener('click', () => {
      this.#drawn = window
      this.#press()
      this.#onDrawn(window, this.#answers.get(window))
    })
    const figures = make('dl')
    const figure = (name: string, className: string, meaning = ''): HTMLElement => {
      const value = make('dd')
      const line = make('div', className)
      line.title = meaning
      line.append(make('dt', '', name), value)
      figures.append(line)
      return value
    }
    const views: Card = {
      button,
      vwap: figure('VWAP', 'major vwap'),
      mean: figure('Average price', 'major mean'),
      trades: figure('Trades', 'minor'),
      volume: figure('Volume', 'minor'),
      value: figure('Mean trade value', 'minor', 'price × volume, averaged over the trades'),
      covers: make('p', 'covers'),
    }
    card.append(button, figures, views.covers)
    byId('cards').append(card)
    return views
  }

  #press(): void {
    for (const [window, { button }] of this.#cards) button.setAttribute('aria-pressed', String(window === this.#drawn))
  }
}

/** The span an average was made of, as the API says it. */
function covers(average: AverageAnswer | undefined, nowMs: number): string {
  if (average === undefined) return ''
  if (average.count === 0 || average.from === null || average.to === null) return 'no trades in it'
  return `${formatMoment(average.from, nowMs)} – ${formatMoment(average.to, nowMs)}`
}
