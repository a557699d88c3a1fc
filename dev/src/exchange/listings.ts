import { createRandom } from './random.js'

/** What a symbol is like; popularity is its place in the list. */
export interface Listing {
  readonly symbol: string
  readonly kind: 'stock' | 'crypto' | 'forex'
  readonly startPrice: number
  /** Prices are whole multiples of 1 / ticksPerUnit. */
  readonly ticksPerUnit: number
}

/** The most traded first, with prices of about late 2025. */
const STOCKS: readonly (readonly [string, number])[] = [
  ['AAPL', 270],
  ['NVDA', 185],
  ['TSLA', 420],
  ['MSFT', 480],
  ['AMZN', 225],
  ['SPY', 670],
  ['GOOGL', 290],
  ['META', 600],
  ['AMD', 220],
  ['QQQ', 600],
  ['PLTR', 170],
  ['AVGO', 350],
  ['NFLX', 1100],
  ['INTC', 36],
  ['COIN', 270],
  ['MU', 225],
  ['JPM', 305],
  ['BAC', 52],
  ['F', 13],
  ['GS', 790],
  ['V', 330],
  ['XOM', 117],
  ['CVX', 152],
  ['UNH', 320],
  ['PFE', 25],
  ['WMT', 104],
  ['COST', 900],
  ['KO', 71],
  ['DIS', 105],
  ['BA', 190],
  ['BRK.B', 505],
  ['LLY', 1020],
  ['MA', 540],
  ['ORCL', 215],
  ['HD', 345],
  ['PG', 147],
  ['JNJ', 202],
  ['ABBV', 233],
  ['CRM', 235],
  ['CSCO', 77],
  ['PEP', 147],
  ['ADBE', 325],
  ['MRK', 96],
  ['TMO', 580],
  ['ACN', 245],
  ['MCD', 308],
  ['ABT', 128],
  ['QCOM', 168],
  ['TXN', 158],
  ['WFC', 84],
  ['C', 99],
  ['MS', 162],
  ['T', 25],
  ['VZ', 41],
  ['CMCSA', 27],
  ['NKE', 63],
  ['PM', 153],
  ['IBM', 300],
  ['GE', 300],
  ['CAT', 550],
  ['RTX', 175],
  ['HON', 195],
  ['UNP', 222],
  ['LOW', 232],
  ['SBUX', 84],
  ['UBER', 84],
  ['ABNB', 117],
  ['SHOP', 150],
  ['SQ', 62],
  ['PYPL', 61],
  ['ROKU', 95],
  ['SNAP', 8],
  ['PINS', 26],
  ['RIVN', 15],
  ['LCID', 13],
  ['NIO', 6],
  ['GM', 70],
  ['SOFI', 27],
  ['HOOD', 110],
  ['MSTR', 180],
  ['MARA', 11],
  ['RIOT', 14],
  ['SMCI', 33],
  ['ARM', 135],
  ['ASML', 1000],
  ['TSM', 280],
  ['BABA', 155],
  ['NVO', 48],
  ['DELL', 125],
  ['ANET', 125],
  ['PANW', 190],
  ['CRWD', 500],
  ['SNOW', 245],
  ['DDOG', 160],
  ['NET', 195],
  ['ZM', 79],
  ['DOCU', 67],
  ['SPOT', 590],
  ['BKNG', 4600],
  ['MAR', 290],
  ['AAL', 13],
  ['DAL', 58],
  ['UAL', 92],
  ['CCL', 26],
  ['XLF', 52],
  ['XLE', 90],
  ['IWM', 235],
  ['DIA', 462],
  ['GLD', 375],
  ['SLV', 46],
  ['TLT', 90],
  ['HYG', 80],
  ['EEM', 54],
  ['SIRI', 21],
  ['GME', 20],
  ['AMC', 2.2],
  ['PLUG', 1.9],
  ['NOK', 6],
  ['VALE', 12],
  ['PBR', 12.6],
  ['ITUB', 7.6],
  ['BBD', 3.6],
]

/** Where the pairs stand among the stocks. */
const PAIRS: readonly (readonly [number, Listing])[] = [
  [3, { symbol: 'BINANCE:BTCUSDT', kind: 'crypto', startPrice: 92_000, ticksPerUnit: 100 }],
  [9, { symbol: 'BINANCE:ETHUSDT', kind: 'crypto', startPrice: 3_000, ticksPerUnit: 100 }],
  [20, { symbol: 'OANDA:EUR_USD', kind: 'forex', startPrice: 1.16, ticksPerUnit: 100_000 }],
  [25, { symbol: 'BINANCE:SOLUSDT', kind: 'crypto', startPrice: 135, ticksPerUnit: 100 }],
  [40, { symbol: 'OANDA:XAU_USD', kind: 'forex', startPrice: 4_080, ticksPerUnit: 1_000 }],
  [45, { symbol: 'BINANCE:DOGEUSDT', kind: 'crypto', startPrice: 0.15, ticksPerUnit: 100_000 }],
  [60, { symbol: 'IC MARKETS:1', kind: 'forex', startPrice: 1.31, ticksPerUnit: 100_000 }],
]

const MIN_PRICE_OF_CENT_TICKS = 1

/**
 * The symbols of the exchange, the most popular first: real names, then made-up ones.
 * @param count how many; the real ones alone are about 130
 */
export function createListings(count: number): Listing[] {
  const listings: Listing[] = STOCKS.map(([symbol, startPrice]) => stock(symbol, startPrice))
  for (const [place, listing] of PAIRS) listings.splice(place, 0, listing)
  const names = new Set(listings.map(({ symbol }) => symbol))
  const random = createRandom('listings')
  while (listings.length < count) {
    const symbol = 'X' + Array.from({ length: 3 }, () => String.fromCharCode(65 + Math.floor(random() * 26))).join('')
    if (names.has(symbol)) continue
    names.add(symbol)
    // Prices of listed companies are about log-normal: many between 10 and 100, a few far above.
    listings.push(stock(symbol, Math.round(Math.exp(1 + random() * 4.5) * 100) / 100))
  }
  return listings.slice(0, count)
}

function stock(symbol: string, startPrice: number): Listing {
  return { symbol, kind: 'stock', startPrice, ticksPerUnit: startPrice >= MIN_PRICE_OF_CENT_TICKS ? 100 : 10_000 }
}

/** Zipf's law: the nth most popular symbol is traded 1/n as much as the first. */
export function popularity(place: number): number {
  return 1 / (place + 1)
}
