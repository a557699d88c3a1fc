import { AveragePanel } from './average-panel.js'
import { BarFeed } from './bar-feed.js'
import { PriceChart } from './chart.js'
import { Connection } from './connection.js'
import { byId, frameScheduler, make, setData, setText } from './dom.js'
import { Drawer } from './drawer.js'
import { formatPrice, priceDigits } from './format.js'
import { Legend } from './legend.js'
import { LinkStatus } from './link-status.js'
import { type Bar, type ClientFrame, type Frame, type Interval, INTERVALS } from './protocol.js'
import { Quote } from './quote.js'
import { getBars, getSymbol, getSymbols, inLine, poll, retryDelayMs } from './rest.js'
import { listed, type MarketState, nothingKnown, withFrame, withSummaries } from './state.js'
import { themeSwitch } from './theme.js'
import { WatchList } from './watch-list.js'

/** The page: wires the feed and the answers of the API to the watch list, the chart and the averages. */

const SYMBOLS_EVERY_MS = 10_000
const SYMBOLS_SOON_MS = 2000
const CHOSEN_EVERY_MS = 2000
const SPARK_MINUTES = 60
const MINUTE = 60_000
/** Holding an arrow key runs through symbols; only the one it rests on is asked for. */
const SETTLE_MS = 80
const sparkLine = inLine(2)
const forever = new AbortController().signal

let state: MarketState = nothingKnown
let summariesVersion = 0
let listTrouble = ''
let chosen = ''
let interval: Interval = '1m'
let digits = 2
let digitsKnown = false
let barFeed: BarFeed | undefined
let pointed: Bar | undefined
let settling: ReturnType<typeof setTimeout> | undefined
let opened = false
/** The chosen symbol when nobody knows it: nothing is asked about it until a trade of it is heard. */
let awaited = ''
let chosenPolling = new AbortController()

const todayKey = byId('key-today')
const chartNote = byId('chart-note')
const redraw = frameScheduler(draw)
const quote = new Quote()
const legend = new Legend()
const linkStatus = new LinkStatus()
const watchList = new WatchList({ onChoose: choose, onDone: () => drawer.close(), history: priceHistory })
const drawer = new Drawer(() => watchList.focus())
const chart = new PriceChart(byId('chart'), {
  onNearOldest: () => void barFeed?.older(),
  onPointed: (bar) => {
    pointed = bar
    redraw()
  },
})
const averages = new AveragePanel((window, average) => {
  for (const key of document.querySelectorAll('.key-window')) setText(key, window)
  chart.setLevels(average && { label: window, vwap: average.vwap, mean: average.mean })
})
const connection = new Connection({ onOpen: subscribe, onFrame: take, onLink: redraw })

function subscribe(): void {
  connection.send({ op: 'subscribe', channel: 'prices', symbols: ['*'] })
  if (chosen !== '') connection.send(minutesOf(chosen, 'subscribe'))
  if (opened) barFeed?.catchUp() // nobody knows what the closed connection missed
  opened = true
}

function minutesOf(symbol: string, op: 'subscribe' | 'unsubscribe'): ClientFrame {
  return { op, channel: 'bars', symbols: [symbol], interval: '1m' }
}

function take(frame: Frame): void {
  const missedBefore = state.missedFrames
  state = withFrame(state, frame, Date.now())
  if (frame.type === 'bars') barFeed?.take(frame.data)
  // What is missing was merged into what came: the server holds back frames from a page that reads too slowly.
  if (state.missedFrames > missedBefore) linkStatus.missed(state.missedFrames - missedBefore, Date.now())
  redraw()
}

/** Makes a symbol the one on the board: its address, its subscription, its chart and its averages. */
function choose(symbol: string): void {
  if (symbol === chosen) return
  if (chosen !== '') connection.send(minutesOf(chosen, 'unsubscribe'))
  chosen = symbol
  const hash = `#${encodeURIComponent(symbol).replaceAll('%3A', ':')}`
  if (location.hash !== hash) location.hash = hash
  digitsKnown = false
  digits = 2
  leaveBars()
  averages.clear()
  clearTimeout(settling)
  awaited = ''
  chosenPolling.abort()
  settling = setTimeout(() => {
    connection.send(minutesOf(symbol, 'subscribe'))
    const isUnknown = summariesVersion > 0 && listTrouble === '' && !state.rows.has(symbol)
    if (isUnknown) awaitTrade()
    else followSymbol()
  }, SETTLE_MS)
  redraw()
}

function followSymbol(): void {
  averages.show(chosen)
  followChosen()
  showBars()
}

/** Prices of all symbols come by the feed: whoever is named there, or in the list, is known from then on. */
function awaitTrade(): void {
  awaited = chosen
  chosenPolling.abort()
  averages.clear()
  leaveBars()
  noteOnChart(`Unknown symbol: there has been no trade of ${chosen}. Its candles start with the first one.`)
  redraw()
}

function leaveBars(): void {
  barFeed?.close()
  barFeed = undefined
  pointed = undefined
  chart.show(interval, digits)
}

function showBars(): void {
  leaveBars()
  barFeed = new BarFeed(chosen, interval, state.rows.get(chosen)?.lastTime ?? null, {
    onBars: (bars, from) => {
      chart.draw(bars, from)
      setData(chartNote, 'aside', 'true') // a note does not cover candles
      redraw()
    },
    onNote: noteOnChart,
  })
  barFeed.start()
}

function noteOnChart(note: string): void {
  setText(chartNote, note)
  setData(chartNote, 'aside', String((barFeed?.bars.length ?? 0) > 0))
}

/** Decimals are those of the first price known: a price around 1 does not make its digits come and go. */
function settleDigits(price: number | null): void {
  if (digitsKnown || price === null) return
  digitsKnown = true
  digits = priceDigits(price)
  chart.setDigits(digits)
  averages.setDigits(digits)
}

function fromAddress(): string {
  try {
    return decodeURIComponent(location.hash.slice(1))
  } catch {
    return ''
  }
}

/** The last hour's closing prices for a sparkline. */
async function priceHistory(symbol: string): Promise<{ timeMs: number; price: number }[] | undefined> {
  const lastTime = state.rows.get(symbol)?.lastTime ?? null
  if (lastTime === null) return undefined
  const range = { limit: 2 * SPARK_MINUTES, fromMs: lastTime - SPARK_MINUTES * MINUTE }
  const answer = await sparkLine(() => getBars(symbol, '1m', range, forever))
  if (answer.kind !== 'ok') return undefined
  return answer.value.bars.map((bar) => ({ timeMs: bar.start + MINUTE - 1, price: bar.close }))
}

/** The chosen symbol's day is asked for more often than everybody's. Its troubles are told by the chart and the averages. */
function followChosen(): void {
  chosenPolling.abort()
  const { signal } = (chosenPolling = new AbortController())
  let failures = 0
  void poll(signal, async () => {
    const answer = await getSymbol(chosen, signal)
    if (signal.aborted) return 0
    if (answer.kind === 'not-found' && !state.rows.has(chosen)) awaitTrade()
    if (answer.kind !== 'ok') return retryDelayMs(failures++)
    failures = 0
    state = withSummaries(state, [answer.value])
    redraw()
    return CHOSEN_EVERY_MS
  })
}

async function followSymbols(): Promise<void> {
  let failures = 0
  let symbolsBefore = 0
  await poll(forever, async () => {
    const answer = await getSymbols(forever)
    if (answer.kind !== 'ok') {
      const waitMs = answer.kind === 'restoring' ? answer.retryAfterMs : retryDelayMs(failures++)
      const what = answer.kind === 'restoring' ? 'Prices are being restored' : 'The API does not answer'
      listTrouble = `${what}. Asked again in ${Math.ceil(waitMs / 1000)} s.`
      redraw()
      return waitMs
    }
    failures = 0
    listTrouble = answer.value.partial ? 'Some symbols are being restored.' : ''
    state = withSummaries(state, answer.value.symbols)
    summariesVersion++
    if (chosen === '' && state.rows.size > 0) choose(listed(state, '', 'activity')[0]!)
    redraw()
    // A market that just opens grows by the second; of new symbols only these answers tell the day.
    const isGrowing = state.rows.size > symbolsBefore
    symbolsBefore = state.rows.size
    return isGrowing || state.rows.size === 0 || answer.value.partial ? SYMBOLS_SOON_MS : SYMBOLS_EVERY_MS
  })
}

function draw(): void {
  const nowMs = Date.now()
  const row = state.rows.get(chosen)
  if (awaited !== '' && row !== undefined) {
    awaited = ''
    followSymbol()
  }
  // The price in the head and the open candle tell the same.
  if (row?.last != null && row.lastTime !== null) barFeed?.takePrice(row.last, row.lastTime)
  settleDigits(row?.last ?? null)
  watchList.render(state, chosen, summariesVersion, nowMs)
  watchList.say(listNote())
  if (chosen !== '') quote.render(chosen, row, nowMs, awaited !== '')
  else {
    quote.renderNothing(waitingFor())
    noteOnChart('Candles appear here with the first trade.')
  }
  if (row?.day) chart.vwapSince({ startMs: row.day.start, reachesBack: barFeed?.reachesBackTo(row.day.start) ?? false })
  legend.render(pointed ?? barFeed?.bars.at(-1), digits, nowMs)
  setText(todayKey, formatPrice(row?.day?.vwap, digits))
  linkStatus.render(connection.link, nowMs)
  const title = row?.last == null ? 'Candlewick' : `${formatPrice(row.last)} ${chosen} · Candlewick`
  if (document.title !== title) document.title = title
}

function waitingFor(): string {
  if (listTrouble !== '') return 'Waiting for the API'
  return summariesVersion === 0 ? 'Loading' : 'Waiting for the first trade'
}

function listNote(): string {
  if (listTrouble !== '') return listTrouble
  if (summariesVersion === 0) return 'Asking for the symbols…'
  if (state.rows.size === 0) return 'No trades yet. Symbols appear here with their first trade.'
  if (watchList.isEmpty) return `No symbol matches “${watchList.typed.trim()}”.`
  return state.rows.size === 1 ? '1 symbol' : `${state.rows.size} symbols`
}

function intervalSwitch(): void {
  for (const each of INTERVALS) {
    const label = make('label')
    const radio = make('input')
    radio.type = 'radio'
    radio.name = 'interval'
    radio.value = each
    radio.checked = each === interval
    radio.addEventListener('change', () => {
      interval = each
      if (chosen !== '') showBars()
      redraw()
    })
    label.append(radio, make('span', '', each))
    byId('intervals').append(label)
  }
}

intervalSwitch()
themeSwitch(byId<HTMLButtonElement>('theme'), () => chart.retheme())
watchList.onInput(redraw)
setText(byId('zone'), `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`)
addEventListener('hashchange', () => fromAddress() !== '' && choose(fromAddress()))
if (fromAddress() !== '') choose(fromAddress())
connection.start()
void followSymbols()
setInterval(redraw, 1000) // ages and countdowns move by themselves
redraw()
