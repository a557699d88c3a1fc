import { KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { isSymbol } from '@candlewick/schemas/trade-rules'
import { StartError, type COMMON_SETTINGS } from '@candlewick/service/process'
import { integer, list, str, type Settings } from '@candlewick/service/settings'
import { CodecMissing } from '@candlewick/streams/kafka/records/codec'
import { COMPRESSIONS, requireCodec, type Compression } from '@candlewick/streams/kafka/records/compression'
import { Endpoint } from './finnhub/endpoint.js'
import { FREE_PLAN_SYMBOLS } from './finnhub/protocol.js'
import { readSpeed, type Speed } from './recording/speed.js'

/** What is traded much, and two that trade day and night. */
const DEFAULT_SYMBOLS = [
  ...['AAPL', 'MSFT', 'NVDA', 'AMZN', 'GOOGL', 'META', 'TSLA', 'AVGO', 'AMD', 'NFLX', 'INTC', 'PLTR', 'COIN', 'MU'],
  ...['JPM', 'BAC', 'GS', 'V', 'XOM', 'CVX', 'UNH', 'PFE', 'WMT', 'COST', 'KO', 'DIS', 'BA', 'F', 'SPY', 'QQQ'],
  ...['BINANCE:BTCUSDT', 'BINANCE:ETHUSDT'],
]

export const PRODUCER_SETTINGS = {
  ...KAFKA_SETTINGS,
  PRODUCER_PORT: integer(
    0,
    65_535,
  )({ default: 8082, desc: 'port of /healthz, /readyz, /metrics and /gaps; 0 = any free one' }),
  SOURCE: str({ choices: ['finnhub', 'recording'], default: 'finnhub', desc: 'where trades come from' }),
  FINNHUB_API_KEY: str({ default: '', desc: 'the key of your Finnhub account (https://finnhub.io)' }),
  FINNHUB_URL: str({ default: 'wss://ws.finnhub.io', desc: 'Finnhub or what speaks its WebSocket protocol' }),
  SYMBOLS: list({
    default: DEFAULT_SYMBOLS,
    desc: 'symbols to subscribe, comma separated; * = all of the simulated exchange',
  }),
  RECORDING_FILE: str({ default: '', desc: 'CSV symbol,price,volume,timestamp_ms to play, also .gz' }),
  RECORDING_SPEED: str({ default: '1', desc: '1 = as it happened, 10 = ten times as fast, max' }),
  PRODUCER_COMPRESSION: str<Compression>({
    choices: COMPRESSIONS,
    default: 'none',
    desc: 'of what is sent to Kafka',
  }),
  PRODUCER_BUFFER_MB: integer(1, 4096)({ default: 64, desc: 'MiB held at most while Kafka is away' }),
  TOPIC_PREFIX: str({ default: '', desc: 'put before the names of the topics' }),
}

export type ProducerSettings = Settings<typeof PRODUCER_SETTINGS & typeof COMMON_SETTINGS>

export type FeedChoice =
  | {
      readonly kind: 'finnhub'
      readonly endpoint: Endpoint
      readonly symbols: readonly string[]
      readonly warnings: string[]
    }
  | { readonly kind: 'recording'; readonly file: string; readonly speed: Speed }

/**
 * Finds out at the start whether the codec can be loaded.
 * @throws StartError with what to do
 */
export function checkCompression({ PRODUCER_COMPRESSION: compression }: ProducerSettings): void {
  try {
    requireCodec(compression)
  } catch (error) {
    if (!(error instanceof CodecMissing)) throw error
    throw new StartError(`PRODUCER_COMPRESSION: ${error.message}`, { cause: error })
  }
}

/** The simulated exchange wants a key as Finnhub does, but any will do. */
const SIMULATED_KEY = 'simulated'

/**
 * Reads what the settings say about the feed, which a look at one setting alone cannot.
 * @throws StartError with what to do; it never shows the key
 */
export function chooseFeed(settings: ProducerSettings): FeedChoice {
  if (settings.SOURCE === 'recording') {
    const speed = readSpeed(settings.RECORDING_SPEED)
    if (settings.RECORDING_FILE === '') throw new StartError('SOURCE=recording needs RECORDING_FILE')
    if (speed === undefined) throw new StartError('RECORDING_SPEED must be a number above 0 or max')
    return { kind: 'recording', file: settings.RECORDING_FILE, speed }
  }
  const { SYMBOLS: symbols } = settings
  const endpoint = readEndpoint(settings)
  const wrong = symbols.filter((symbol) => !isSymbol(symbol))
  if (symbols.length === 0 || wrong.length > 0) {
    throw new StartError(
      `SYMBOLS must name at least one symbol, each of 1 to 64 printable characters${wrong.length > 0 ? `; wrong: ${JSON.stringify(wrong)}` : ''}`,
    )
  }
  if (endpoint.isFinnhub && symbols.includes('*')) {
    throw new StartError(
      'SYMBOLS=* is understood by the simulated exchange only: name the symbols you want from Finnhub',
    )
  }
  return { kind: 'finnhub', endpoint, symbols, warnings: warningsAbout(endpoint, symbols) }
}

function readEndpoint(settings: ProducerSettings): Endpoint {
  let endpoint: Endpoint
  try {
    endpoint = new Endpoint(settings.FINNHUB_URL, settings.FINNHUB_API_KEY)
  } catch {
    throw new StartError('FINNHUB_URL must be a ws:// or wss:// URL')
  }
  if (endpoint.hasKey) return endpoint
  if (endpoint.isFinnhub) {
    throw new StartError(
      'FINNHUB_API_KEY is missing: get a free key at https://finnhub.io, or point FINNHUB_URL at the simulated exchange',
    )
  }
  return new Endpoint(settings.FINNHUB_URL, SIMULATED_KEY)
}

function warningsAbout(endpoint: Endpoint, symbols: readonly string[]): string[] {
  const warnings: string[] = []
  if (endpoint.isFinnhub && symbols.length > FREE_PLAN_SYMBOLS) {
    warnings.push(
      `${symbols.length} symbols are subscribed: Finnhub's free plan takes ${FREE_PLAN_SYMBOLS} and refuses those after them`,
    )
  }
  if (endpoint.isExposed && endpoint.hasKey) {
    warnings.push('FINNHUB_URL is ws:// and not on this machine: the key crosses the network in the clear, use wss://')
  }
  return warnings
}

export interface BufferBounds {
  /** What the Kafka producer holds at most. */
  sinkBytes: number
  /** What may wait before it. */
  reserveBytes: number
  /** The largest message a feed may send. */
  maxFrameBytes: number
}

/** Divides PRODUCER_BUFFER_MB so that all that is held together stays within it. */
export function bufferBounds(bufferMb: number): BufferBounds {
  const totalBytes = bufferMb * 1024 * 1024
  const reserveBytes = totalBytes / 8
  const maxFrameBytes = totalBytes / 16
  return { sinkBytes: totalBytes - reserveBytes - maxFrameBytes, reserveBytes, maxFrameBytes }
}
