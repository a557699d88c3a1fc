import {
  type AutoscaleInfo,
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  LineSeries,
  LineStyle,
  MismatchDirection,
  type MouseEventParams,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts'
import { axisMoment, axisSeconds, runningVwap } from './chart-data.js'
import { formatAmount, formatClock, formatDay, formatPrice, formatUtcDate } from './format.js'
import type { Bar, Interval } from './protocol.js'

/** Averages of the chosen window as levels across the chart. */
export interface Levels {
  readonly label: string
  readonly vwap: number | null
  readonly mean: number | null
}

/** Candles that fit at first: enough to see the hour, few enough to see each. */
const CANDLES_AT_FIRST = 110
const CANDLES_AT_LEAST = 24
/** With fewer bars than this the feed came before the history; the view is chosen anew when that is there. */
const FEW = 3
/** A line this many times the height of the visible candles away from them does not squeeze them. */
const LINE_REACH = 0.6
/** How close to the oldest candle the viewer has to scroll before older ones are fetched. */
const NEAR_OLDEST = 20

const utcDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const localMonth = new Intl.DateTimeFormat('en-GB', { month: 'short' })
const localMoment = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})

/** The candlestick chart: candles, volume, the day's VWAP, and two levels. It draws what it is handed and keeps nothing else. */
export class PriceChart {
  readonly #container: HTMLElement
  readonly #chart: IChartApi
  readonly #candles: ISeriesApi<'Candlestick'>
  readonly #volume: ISeriesApi<'Histogram'>
  readonly #vwap: ISeriesApi<'Line'>
  readonly #levels = new Map<'vwap' | 'mean', IPriceLine>()
  readonly #offsetMs = -new Date().getTimezoneOffset() * 60_000
  #colors: Colors
  #interval: Interval = '1m'
  #bars: readonly Bar[] = []
  #vwapFrom: { startMs: number; reachesBack: boolean } | undefined

  constructor(container: HTMLElement, listener: { onNearOldest(): void; onPointed(bar: Bar | undefined): void }) {
    this.#container = container
    this.#colors = readColors(container)
    this.#chart = createChart(container, {
      autoSize: true,
      // The logo brings an inline style sheet, which the page's content policy refuses; index.html carries the credit.
      layout: { attributionLogo: false, background: { type: ColorType.Solid, color: 'transparent' }, fontSize: 12 },
      crosshair: { mode: CrosshairMode.Normal },
      handleScroll: { vertTouchDrag: false },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.24 } },
      timeScale: {
        borderVisible: false,
        rightOffset: 4,
        timeVisible: true,
        tickMarkFormatter: (time: Time, type: TickMarkType) => this.#tickLabel(time as number, type),
      },
      localization: { timeFormatter: (time: Time) => this.#momentLabel(time as number) },
    })
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'custom', formatter: formatAmount, minMove: 1e-8 },
      priceLineVisible: false,
      lastValueVisible: false,
    })
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } })
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineStyle: LineStyle.Dotted })
    this.#vwap = this.#chart.addSeries(LineSeries, {
      lineWidth: 2,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerVisible: false,
      autoscaleInfoProvider: (original: () => AutoscaleInfo | null) => this.#ifNearCandles(original()),
    })
    this.retheme()
    this.#chart.subscribeCrosshairMove((event) => listener.onPointed(this.#pointed(event)))
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < NEAR_OLDEST && this.#bars.length > 0) listener.onNearOldest()
    })
  }

  /** Draws another series from the start: what was visible is forgotten. */
  show(interval: Interval, digits: number): void {
    this.#interval = interval
    this.#vwapFrom = undefined
    this.setDigits(digits)
    this.#chart.priceScale('right').applyOptions({ autoScale: true })
    this.draw([], 0)
  }

  /** How many decimals prices are written with. */
  setDigits(digits: number): void {
    const minMove = 10 ** -digits
    const priceFormat = { type: 'custom', formatter: (price: number) => formatPrice(price, digits), minMove } as const
    this.#candles.applyOptions({ priceFormat })
    this.#vwap.applyOptions({ priceFormat })
  }

  /** Draws bars, of which those before the index `from` are drawn already. */
  draw(bars: readonly Bar[], from: number): void {
    const newestDrawn = this.#bars.length - 1
    const wereNone = newestDrawn < 0
    const isHistory = from === 0 && newestDrawn < FEW && bars.length > 0
    this.#bars = bars
    if (from === 0 || wereNone) {
      this.#candles.setData(bars.map((bar) => this.#candle(bar)))
      this.#volume.setData(bars.map((bar) => this.#volumeColumn(bar)))
    } else {
      for (let at = from; at < bars.length; at++) {
        const historical = at < newestDrawn
        this.#candles.update(this.#candle(bars[at]!), historical)
        this.#volume.update(this.#volumeColumn(bars[at]!), historical)
      }
    }
    this.#drawVwap(wereNone ? 0 : from)
    if (isHistory) this.#showNewest()
  }

  /** Since when the day's VWAP is drawn; undefined for no line. */
  vwapSince(from: { startMs: number; reachesBack: boolean } | undefined): void {
    const { startMs, reachesBack } = this.#vwapFrom ?? {}
    if (from?.startMs === startMs && from?.reachesBack === reachesBack) return
    this.#vwapFrom = from
    this.#drawVwap(0)
  }

  setLevels(levels: Levels | undefined): void {
    for (const name of ['vwap', 'mean'] as const) {
      const price = levels?.[name] ?? null
      const line = this.#levels.get(name)
      if (price === null) {
        if (line !== undefined) this.#candles.removePriceLine(line)
        this.#levels.delete(name)
        continue
      }
      const title = `${name === 'vwap' ? 'VWAP' : 'avg'} ${levels!.label}`
      const options = {
        price,
        title,
        color: name === 'vwap' ? this.#colors.vwap : this.#colors.mean,
        lineStyle: name === 'vwap' ? LineStyle.LargeDashed : LineStyle.SparseDotted,
        lineWidth: 1,
        axisLabelVisible: false,
      } as const
      if (line === undefined) this.#levels.set(name, this.#candles.createPriceLine(options))
      else line.applyOptions(options)
    }
  }

  /** Reads the colours of the style sheet again. */
  retheme(): void {
    this.#colors = readColors(this.#container)
    const { up, down, text, grid, cross, vwap, mean, font } = this.#colors
    this.#chart.applyOptions({
      layout: { textColor: text, fontFamily: font },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      crosshair: { vertLine: { color: cross }, horzLine: { color: cross } },
    })
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down })
    this.#vwap.applyOptions({ color: vwap })
    this.#levels.get('vwap')?.applyOptions({ color: vwap })
    this.#levels.get('mean')?.applyOptions({ color: mean })
    this.#volume.setData(this.#bars.map((bar) => this.#volumeColumn(bar)))
  }

  #drawVwap(from: number): void {
    const since = this.#interval === '1d' ? undefined : this.#vwapFrom
    const line = since === undefined ? [] : runningVwap(this.#bars, since.startMs, since.reachesBack)
    const points = line.map(({ start, value }) => ({ time: this.#time(start), value }))
    const changed = this.#bars[from]
    if (from === 0 || changed === undefined || points.length === 0) {
      this.#vwap.setData(points)
      return
    }
    const newestDrawn = this.#vwap.dataByIndex(Infinity, MismatchDirection.NearestLeft)?.time as number | undefined
    const firstTime = this.#time(changed.start)
    for (const point of points) {
      if (point.time >= firstTime) this.#vwap.update(point, newestDrawn !== undefined && point.time < newestDrawn)
    }
  }

  #showNewest(): void {
    const count = this.#bars.length
    const widest = this.#container.clientWidth < 600 ? CANDLES_AT_FIRST / 2 : CANDLES_AT_FIRST
    const visible = Math.min(widest, Math.max(CANDLES_AT_LEAST, count + 4))
    // A few candles stand away from the edge, with room for the next ones.
    const to = count + Math.max(3, (visible - count) / 3)
    this.#chart.timeScale().setVisibleLogicalRange({ from: to - visible, to })
  }

  /** The line's range for the price scale, or null when showing it all would flatten the candles. */
  #ifNearCandles(info: AutoscaleInfo | null): AutoscaleInfo | null {
    const visible = this.#chart.timeScale().getVisibleLogicalRange()
    if (info === null || info.priceRange === null || visible === null) return info
    const bars = this.#bars.slice(Math.max(0, Math.floor(visible.from)), Math.ceil(visible.to) + 1)
    const low = Math.min(...bars.map((bar) => bar.low))
    const high = Math.max(...bars.map((bar) => bar.high))
    const reach = (high - low) * LINE_REACH
    const { minValue, maxValue } = info.priceRange
    return minValue >= low - reach && maxValue <= high + reach ? info : null
  }

  #pointed(event: MouseEventParams): Bar | undefined {
    if (event.logical === undefined || event.point === undefined) return undefined
    return this.#bars[event.logical]
  }

  #candle(bar: Bar) {
    return { time: this.#time(bar.start), open: bar.open, high: bar.high, low: bar.low, close: bar.close }
  }

  #volumeColumn(bar: Bar) {
    const { upVolume, downVolume } = this.#colors
    return { time: this.#time(bar.start), value: bar.volume, color: bar.close >= bar.open ? upVolume : downVolume }
  }

  #time(startMs: number): UTCTimestamp {
    return axisSeconds(startMs, this.#interval, this.#offsetMs) as UTCTimestamp
  }

  #tickLabel(seconds: number, type: TickMarkType): string {
    const moment = axisMoment(seconds, this.#interval, this.#offsetMs)
    if (type === TickMarkType.Year) return String(new Date(seconds * 1000).getUTCFullYear())
    if (type === TickMarkType.Month) return localMonth.format(moment)
    if (this.#interval === '1d') return utcDay.format(moment)
    return type === TickMarkType.DayOfMonth ? formatDay(moment) : formatClock(moment)
  }

  #momentLabel(seconds: number): string {
    const moment = axisMoment(seconds, this.#interval, this.#offsetMs)
    return this.#interval === '1d' ? formatUtcDate(moment) : localMoment.format(moment)
  }
}

type Colors = ReturnType<typeof readColors>

/** The style sheet's colours as the canvas needs them: custom properties resolved through a probe element. */
function readColors(container: HTMLElement) {
  const probe = document.createElement('span')
  container.append(probe)
  const color = (name: string): string => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const colors = {
    up: color('up'),
    down: color('down'),
    upVolume: color('up-volume'),
    downVolume: color('down-volume'),
    text: color('text-soft'),
    grid: color('grid'),
    cross: color('cross'),
    vwap: color('vwap'),
    mean: color('mean'),
    font: getComputedStyle(container).fontFamily,
  }
  probe.remove()
  return colors
}
