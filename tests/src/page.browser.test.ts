import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '@candlewick/dev/stack/start-stack'
import { getJson, until } from './wait.js'

/** The page in a real browser, on the whole system: real Kafka and Cassandra, the simulated exchange behind them. */

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'
const WIDE = { width: 1440, height: 900 }
const NARROW = { width: 390, height: 844 }
const SOON = { timeout: 30_000, interval: 100 }

let dir = ''
let stack: Stack
let browser: Browser
let page: Page
let complaints: string[] = []

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`no Chromium at ${CHROMIUM}: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH`)
  }
  dir = await mkdtemp(join(tmpdir(), 'candlewick-page-'))
  const exchange = { seed: '11', tradesPerSecond: 300, symbols: 40 }
  stack = await startStack({ dir, ports: 'free', processors: 1, restartAfterMs: null, exchange })
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  })
  await until('bars of AAPL', async () => {
    const { bars } = await getJson<{ bars: unknown[] }>(`${stack.urls.api}/symbols/AAPL/bars?interval=1m`)
    return bars.length > 0 ? true : undefined
  })
}, 240_000)

afterAll(async () => {
  await browser?.close()
  await stack?.stop()
  if (dir !== '') await rm(dir, { recursive: true, force: true })
}, 60_000)

beforeEach(() => {
  complaints = []
})

afterEach(async () => {
  await page?.context().close()
})

/** Opens the page; what the browser complains of, and requests to elsewhere, are collected. */
async function open(hash = '#AAPL', options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: 'light', ...options })
  page = await context.newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  page.on('console', (message) => {
    // The browser itself notes every 503. It is an answer the page deals with, and may come while a system warms up.
    if (message.type() === 'error' && !message.text().includes('status of 503')) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(stack.urls.api).host) complaints.push(`request to ${request.url()}`)
  })
  await page.goto(`${stack.urls.api}/${hash}`)
  return page
}

const text = async (selector: string) => (await page.textContent(selector, { timeout: 5_000 }))?.trim() ?? ''
const rowOf = (symbol: string) => `#list [data-symbol="${symbol}"]`
const averageOf = (window: string) => `#cards [data-window="${window}"] .vwap dd`

/** Waits until what is read differs from `before`. */
async function changes(read: () => Promise<string>, before: string): Promise<void> {
  await expect.poll(read, SOON).not.toBe(before)
}

async function isLive(): Promise<void> {
  await expect.poll(() => text('#link'), SOON).toBe('Live')
  await expect.poll(() => text(averageOf('all')), SOON).toMatch(/\d/)
  await expect.poll(() => text('#legend'), SOON).toMatch(/O\s*\d/)
}

describe('the page on the running system', () => {
  it('lists symbols whose prices move by themselves, and nothing is complained of', async () => {
    await open()
    await isLive()
    await expect.poll(() => page.locator('#list .row').count(), SOON).toBeGreaterThan(20)
    const before = await text(`${rowOf('AAPL')} .last`)
    expect(before).toMatch(/^[\d,]+\.\d{2,}$/)
    await changes(() => text(`${rowOf('AAPL')} .last`), before)
    await expect.poll(() => page.locator(`${rowOf('AAPL')} .last[data-flash]`).count(), SOON).toBe(1)
    expect(complaints).toEqual([])
  })

  it('draws candles that move, and says which processor answered for the averages', async () => {
    await open()
    await isLive()
    await expect.poll(() => page.locator('#chart canvas').count(), SOON).toBeGreaterThan(0)
    const candle = await text('#legend')
    const picture = (await page.locator('#chart').screenshot()).toString('base64')
    await changes(() => text('#legend'), candle)
    await changes(async () => (await page.locator('#chart').screenshot()).toString('base64'), picture)
    await expect.poll(() => text('#source'), SOON).toContain('processor-1')
    const average = await text('#cards [data-window="all"]')
    await changes(() => text('#cards [data-window="all"]'), average)
    expect(complaints).toEqual([])
  })

  it('shows the numbers the API gives', async () => {
    await open()
    await isLive()
    const shown = Number((await text(averageOf('all'))).replaceAll(',', ''))
    const { vwap } = await getJson<{ vwap: number }>(`${stack.urls.api}/symbols/AAPL/avg?window=all`)
    expect(Math.abs(shown - vwap) / vwap).toBeLessThan(0.01)
  })

  it('follows a click on another symbol with its chart, its averages and its address', async () => {
    await open()
    await isLive()
    const before = { name: await text('#name'), average: await text(averageOf('all')), legend: await text('#legend') }
    const picture = (await page.locator('#chart').screenshot()).toString('base64')
    await page.click(rowOf('MSFT'))
    await changes(() => text('#name'), before.name)
    expect(new URL(page.url()).hash).toBe('#MSFT')
    await isLive()
    await changes(() => text(averageOf('all')), before.average)
    await changes(() => text('#legend'), before.legend)
    await changes(async () => (await page.locator('#chart').screenshot()).toString('base64'), picture)
    const { vwap } = await getJson<{ vwap: number }>(`${stack.urls.api}/symbols/MSFT/avg?window=all`)
    const shown = Number((await text(averageOf('all'))).replaceAll(',', ''))
    expect(Math.abs(shown - vwap) / vwap).toBeLessThan(0.01)
  })

  it('is worked with the keyboard: search, arrows, the choice is announced', async () => {
    await open()
    await isLive()
    await page.keyboard.press('/')
    await page.keyboard.type('btc')
    await expect.poll(() => page.locator('#list .row').count(), SOON).toBe(1)
    await page.keyboard.press('ArrowDown')
    await expect.poll(() => text('#name'), SOON).toContain('BTC')
    await page.fill('#filter', '')
    await page.focus('#list')
    await page.keyboard.press('Home')
    const first = await text('#name')
    await page.keyboard.press('ArrowDown')
    await changes(() => text('#name'), first)
    const id = await page.getAttribute('#list', 'aria-activedescendant')
    expect(await page.getAttribute(`#${id}`, 'aria-selected')).toBe('true')
  })

  it.each(['5m', '15m', '1h', '1d'])('draws candles of %s that follow the price', async (interval) => {
    await open()
    await isLive()
    await page.click(`#intervals label:has([value="${interval}"])`)
    await expect.poll(() => text('#chart-note'), SOON).toBe('')
    await expect.poll(() => text('#legend'), SOON).toMatch(/O\s*\d/)
    const candle = await text('#legend')
    await changes(() => text('#legend'), candle)
    expect(complaints).toEqual([])
  })

  it('connects again after a reload, with the same symbol and the chosen colours', async () => {
    await open('#MSFT')
    await isLive()
    await page.click('#theme')
    await page.reload()
    await isLive()
    expect(await text('#name')).toBe('MSFT')
    expect(await page.getAttribute('html', 'data-theme')).toBe('dark')
    const before = await text(`${rowOf('MSFT')} .last`)
    await changes(() => text(`${rowOf('MSFT')} .last`), before)
  })

  it('says that a symbol nobody has heard of is unknown, and asks about it no more', async () => {
    let asked = 0
    page.on('request', (request) => (asked += request.url().includes('NOBODY') ? 1 : 0))
    await open('#NOBODY')
    await expect.poll(() => text('#chart-note'), SOON).toContain('Unknown symbol')
    await expect.poll(() => text('#pulse'), SOON).toBe('Unknown symbol')
    const askedBefore = asked
    await page.waitForRequest(/\/symbols$/) // the list is asked for every few seconds
    expect(asked).toBe(askedBefore)
  })
})

describe.each([
  { name: '1440 px', viewport: WIDE, narrow: false },
  { name: '390 px', viewport: NARROW, narrow: true },
])('at $name', ({ viewport, narrow }) => {
  it.each(['light', 'dark'] as const)('in %s everything is there and nothing scrolls sideways', async (colorScheme) => {
    await open('#AAPL', { viewport, colorScheme })
    await isLive()
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(viewport.width)
    const tooWide = `[...document.querySelectorAll('.columns, main, #list')]
      .filter((element) => element.scrollWidth > element.clientWidth).map((element) => element.id || element.className)`
    expect(await page.evaluate<string[]>(tooWide)).toEqual([])
    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    const brightness = Number(/\d+/.exec(background)?.[0])
    if (colorScheme === 'dark') expect(brightness).toBeLessThan(60)
    else expect(brightness).toBeGreaterThan(200)
    expect(await page.isVisible('#chart canvas')).toBe(true)
    expect(await page.isVisible('.credit')).toBe(true)
    expect(await page.isVisible('#list')).toBe(!narrow)
    expect(complaints).toEqual([])
  })
})

it('on a narrow screen the watch list is a drawer that closes when a symbol is chosen', async () => {
  await open('#AAPL', { viewport: NARROW })
  await isLive()
  await page.click('#open-list')
  await page.click(rowOf('MSFT'))
  await expect.poll(() => text('#name'), SOON).toBe('MSFT')
  await expect.poll(() => page.isVisible('#list'), SOON).toBe(false)
})

// These end parts of the system, one after the other; they come last.
describe('when something is away', () => {
  it('says that the feed is being reconnected while the API is away, keeps what it knew, and comes back by itself', async () => {
    await open()
    await isLive()
    stack.child('query-api').kill('SIGKILL')
    await expect.poll(() => text('#link'), SOON).toMatch(/^Reconnecting/)
    await expect.poll(() => text('#source'), SOON).toBe('No answer from the API')
    expect(await text(`${rowOf('AAPL')} .last`)).toMatch(/\d/)
    expect(await text(averageOf('all'))).toMatch(/\d/)
    await stack.child('query-api').restart()
    await isLive()
    const before = await text(`${rowOf('AAPL')} .last`)
    await changes(() => text(`${rowOf('AAPL')} .last`), before)
  })

  it('says since when there was no trade, once it is quiet', async () => {
    const context = await browser.newContext({ viewport: WIDE })
    page = await context.newPage()
    await page.clock.install()
    await page.goto(`${stack.urls.api}/#AAPL`)
    await isLive()
    await stack.child('producer').stop()
    await expect.poll(() => text('#pulse'), SOON).toMatch(/^Last trade \d\d:\d\d:\d\d$/)
    await page.clock.fastForward('02:00')
    await expect.poll(() => text('#pulse'), SOON).toMatch(/^No trade since \d\d:\d\d:\d\d \(\dm ago\)$/)
    await expect.poll(() => page.getAttribute(rowOf('AAPL'), 'data-quiet'), SOON).toBe('true')
  })

  it('says that averages are being restored while nobody owns the symbol', async () => {
    await open()
    await isLive()
    stack.child('processor-1').kill('SIGKILL')
    await expect.poll(() => text('#source'), SOON).toMatch(/being restored/i)
    expect(await text(averageOf('all'))).toMatch(/\d/)
  })
})
