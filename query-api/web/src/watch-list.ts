import { byId, make, setData, setText } from './dom.js'
import { change, formatAge, formatPrice, splitSymbol } from './format.js'
import { addPoint, emptySparkline, polylinePoints, type Sparkline } from './sparkline.js'
import { listed, type MarketState, type Order, quietFor, type Row } from './state.js'

/**
 * The watch list: one row per symbol, made once and reused, written to only where something changed and is seen.
 * A listbox with one tab stop: arrows, Home and End choose; typing in the search box filters.
 */

const SPARK_WIDTH = 64
const SPARK_HEIGHT = 22
const SPARK_EVERY_MS = 1000
const SVG = 'http://www.w3.org/2000/svg'

interface RowView {
  readonly element: HTMLLIElement
  readonly age: HTMLElement
  readonly last: HTMLElement
  readonly change: HTMLElement
  readonly polyline: SVGPolylineElement
  readonly spark: Sparkline
  readonly venue: string
  row: Row | undefined
  /** What the elements show: a row out of sight may be newer than what was written of it. */
  written: Row | undefined
  inSight: boolean
  seeded: boolean
  sparkDrawnAtMs: number
}

export interface WatchListListener {
  onChoose(symbol: string): void
  /** The choice is made: by a click, a tap or Enter, not in passing with an arrow. */
  onDone(): void
  /** Prices of the last hour for a row that came into sight; undefined when nobody can tell just now. */
  history(symbol: string): Promise<{ timeMs: number; price: number }[] | undefined>
}

export class WatchList {
  readonly #list = byId<HTMLUListElement>('list')
  readonly #filter = byId<HTMLInputElement>('filter')
  readonly #order = byId<HTMLSelectElement>('order')
  readonly #note = byId('list-note')
  readonly #views = new Map<string, RowView>()
  readonly #byElement = new WeakMap<Element, RowView>()
  readonly #sight: IntersectionObserver
  readonly #listener: WatchListListener
  #shown: string[] = []
  #chosen = ''
  #version = -1
  #sorted: { rows: number; typed: string; order: string; version: number } | undefined

  constructor(listener: WatchListListener) {
    this.#listener = listener
    this.#sight = new IntersectionObserver((entries) => this.#sighted(entries), {
      root: this.#list,
      rootMargin: '80px',
    })
    this.#list.addEventListener('click', (event) => {
      const element = (event.target as Element).closest('li')
      const row = element === null ? undefined : this.#byElement.get(element)?.row
      if (row === undefined) return
      listener.onChoose(row.symbol)
      listener.onDone()
    })
    this.#list.addEventListener('keydown', (event) => this.#onKey(event))
    this.#filter.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' || event.key === 'Enter') {
        event.preventDefault()
        this.#list.focus()
        if (!this.#shown.includes(this.#chosen)) this.#chooseAt(0)
      }
    })
    document.addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return
      event.preventDefault()
      this.#filter.focus()
    })
  }

  /** Called on every drawn frame. `version` changes with each answer of /symbols: only then rows may change places. */
  render(state: MarketState, chosen: string, version: number, nowMs: number): void {
    const everywhere = version !== this.#version
    this.#version = version
    for (const row of state.rows.values()) this.#renderRow(row, nowMs, everywhere)
    this.#arrange(state, version)
    if (chosen !== this.#chosen) this.#mark(chosen)
  }

  onInput(redraw: () => void): void {
    this.#filter.addEventListener('input', redraw)
    this.#order.addEventListener('change', redraw)
  }

  /** What to say below the list, or instead of it. */
  say(text: string): void {
    setText(this.#note, text)
  }

  focus(): void {
    this.#list.focus()
  }

  get isEmpty(): boolean {
    return this.#shown.length === 0
  }

  get typed(): string {
    return this.#filter.value
  }

  /** Takes in a row; writes it where somebody sees it, or everywhere once per answer of /symbols. */
  #renderRow(row: Row, nowMs: number, everywhere: boolean): void {
    const view = this.#views.get(row.symbol) ?? this.#makeView(row)
    if (view.row !== row) {
      view.row = row
      if (row.last !== null && row.lastTime !== null) addPoint(view.spark, row.lastTime, row.last)
    }
    if (view.inSight || everywhere) this.#write(view, row, nowMs)
  }

  #write(view: RowView, row: Row, nowMs: number): void {
    const age = row.lastTime === null ? '' : formatAge(Math.max(0, nowMs - row.lastTime))
    const traded = row.heardAtMs !== null && nowMs - row.heardAtMs < 1000 ? 'now' : age
    setText(view.age, view.venue === '' ? traded : `${view.venue} · ${traded}`)
    setData(view.element, 'quiet', String(quietFor(row, nowMs) !== null))
    const before = view.written
    if (before === row) return
    view.written = row
    const day = change(row.day?.open ?? null, row.last)
    setText(view.last, formatPrice(row.last))
    setText(view.change, day.text)
    setData(view.element, 'direction', day.direction)
    // Two names of one animation: a change of name starts it again without a forced layout.
    if (before !== undefined && before.moves !== row.moves) setData(view.last, 'flash', row.direction + (row.moves % 2))
    if (nowMs - view.sparkDrawnAtMs >= SPARK_EVERY_MS) this.#drawSpark(view, nowMs)
  }

  #makeView(row: Row): RowView {
    const { name, venue } = splitSymbol(row.symbol)
    const element = make('li', 'row')
    element.id = `row-${this.#views.size}`
    element.setAttribute('role', 'option')
    element.setAttribute('aria-selected', 'false')
    element.title = row.symbol
    element.dataset['symbol'] = row.symbol
    const svg = document.createElementNS(SVG, 'svg')
    svg.setAttribute('viewBox', `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`)
    svg.setAttribute('class', 'spark')
    svg.setAttribute('aria-hidden', 'true')
    const polyline = document.createElementNS(SVG, 'polyline')
    svg.append(polyline)
    const age = make('span', 'age')
    const last = make('span', 'last')
    const changed = make('span', 'change')
    element.append(make('span', 'name', name), age, svg, last, changed)
    const view: RowView = {
      element,
      age,
      last,
      change: changed,
      polyline,
      spark: emptySparkline(),
      venue,
      row: undefined,
      written: undefined,
      inSight: false,
      seeded: false,
      sparkDrawnAtMs: 0,
    }
    this.#views.set(row.symbol, view)
    this.#byElement.set(element, view)
    this.#sight.observe(element)
    return view
  }

  #drawSpark(view: RowView, nowMs: number): void {
    view.sparkDrawnAtMs = nowMs
    view.polyline.setAttribute('points', polylinePoints(view.spark, SPARK_WIDTH, SPARK_HEIGHT))
  }

  #sighted(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const view = this.#byElement.get(entry.target)
      if (view?.row === undefined) continue
      view.inSight = entry.isIntersecting
      if (!view.inSight) continue
      view.written = undefined // nothing flashes that was not seen moving
      this.#write(view, view.row, Date.now())
      this.#drawSpark(view, Date.now())
      if (!view.seeded) void this.#seed(view, view.row.symbol)
    }
  }

  async #seed(view: RowView, symbol: string): Promise<void> {
    view.seeded = true
    const points = await this.#listener.history(symbol)
    if (points === undefined) {
      view.seeded = false // asked again when it next comes into sight
      return
    }
    const live = { times: [...view.spark.times], prices: [...view.spark.prices] }
    view.spark.times.length = view.spark.prices.length = 0
    for (const { timeMs, price } of points) addPoint(view.spark, timeMs, price)
    live.times.forEach((timeMs, at) => addPoint(view.spark, timeMs, live.prices[at]!))
    this.#drawSpark(view, Date.now())
  }

  #arrange(state: MarketState, version: number): void {
    const typed = this.#filter.value
    const order = this.#order.value
    const sorted = { rows: state.rows.size, typed, order, version }
    const before = this.#sorted
    const asked =
      before === undefined || before.typed !== typed || before.order !== order || before.rows !== sorted.rows
    // Rows do not run away under the pointer: a mere change of activity waits until it has left.
    if (!asked && (before.version === version || this.#list.matches(':hover'))) return
    this.#sorted = sorted
    this.#shown = listed(state, typed, order as Order)
    let place = this.#list.firstElementChild
    for (const symbol of this.#shown) {
      const { element } = this.#views.get(symbol)!
      if (element === place) place = place.nextElementSibling
      else this.#list.insertBefore(element, place)
    }
    while (place !== null) {
      const next = place.nextElementSibling
      place.remove()
      place = next
    }
    this.#list.hidden = this.#shown.length === 0
    this.#point()
  }

  #mark(chosen: string): void {
    const before = this.#views.get(this.#chosen)
    const after = this.#views.get(chosen)
    before?.element.setAttribute('aria-selected', 'false')
    if (after === undefined) return // not heard of yet; asked again with the next frame
    this.#chosen = chosen
    after.element.setAttribute('aria-selected', 'true')
    this.#point()
    if (after.element.isConnected) after.element.scrollIntoView({ block: 'nearest' })
  }

  /** Names the chosen row to assistive technology while it is in the list. */
  #point(): void {
    const element = this.#views.get(this.#chosen)?.element
    if (element?.isConnected === true) this.#list.setAttribute('aria-activedescendant', element.id)
    else this.#list.removeAttribute('aria-activedescendant')
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter') return this.#listener.onDone()
    const at = this.#shown.indexOf(this.#chosen)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.#shown.length - 1 }[event.key]
    if (to === undefined) return
    event.preventDefault()
    this.#chooseAt(Math.max(0, Math.min(this.#shown.length - 1, to)))
  }

  #chooseAt(at: number): void {
    const symbol = this.#shown[at]
    if (symbol !== undefined) this.#listener.onChoose(symbol)
  }
}
