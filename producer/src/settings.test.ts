import { COMMON_SETTINGS } from '@candlewick/service/process'
import { readSettings } from '@candlewick/service/settings'
import { describe, expect, it } from 'vitest'
import { bufferBounds, checkCompression, chooseFeed, PRODUCER_SETTINGS } from './settings.js'

const KEY = 'c0ffee-secret-key'
const choose = (env: Record<string, string>) =>
  chooseFeed(readSettings({ ...COMMON_SETTINGS, ...PRODUCER_SETTINGS }, env))
const finnhub = (env: Record<string, string>) => {
  const choice = choose(env)
  if (choice.kind !== 'finnhub') throw new Error('not finnhub')
  return choice
}
const many = (count: number) => Array.from({ length: count }, (_, i) => `S${i}`).join(',')

describe('the choice of the feed', () => {
  it('is Finnhub with about thirty symbols, two of which trade at night', () => {
    const { endpoint, symbols, warnings } = finnhub({ FINNHUB_API_KEY: KEY })
    expect(endpoint.shown).toBe('wss://ws.finnhub.io/')
    expect(symbols).toEqual(expect.arrayContaining(['AAPL', 'MSFT', 'BINANCE:BTCUSDT', 'BINANCE:ETHUSDT']))
    expect(symbols.length).toBe(32)
    expect(new Set(symbols).size).toBe(32)
    expect(warnings).toEqual([])
  })

  it('takes symbols as a list and drops repeats', () => {
    const { symbols } = finnhub({ FINNHUB_API_KEY: KEY, SYMBOLS: 'AAPL, MSFT,AAPL,,IC MARKETS:1 ' })
    expect(symbols).toEqual(['AAPL', 'MSFT', 'IC MARKETS:1'])
  })

  it('warns of more than 50 symbols at Finnhub, naming the plan’s limit; elsewhere it does not', () => {
    expect(finnhub({ FINNHUB_API_KEY: KEY, SYMBOLS: many(50) }).warnings).toEqual([])
    expect(finnhub({ FINNHUB_API_KEY: KEY, SYMBOLS: many(51) }).warnings).toEqual([
      expect.stringMatching(/51 .*free plan .*50/),
    ])
    expect(finnhub({ FINNHUB_URL: 'ws://127.0.0.1:1', SYMBOLS: many(51) }).warnings).toEqual([])
  })

  it('warns of a key that would travel in the clear', () => {
    expect(finnhub({ FINNHUB_API_KEY: KEY, FINNHUB_URL: 'ws://feed.example' }).warnings).toEqual([
      expect.stringMatching(/in the clear/),
    ])
  })

  it('needs a key for Finnhub, none for the simulated exchange', () => {
    expect(() => choose({})).toThrow(/FINNHUB_API_KEY is missing/)
    expect(finnhub({ FINNHUB_URL: 'ws://127.0.0.1:8081' }).endpoint.hasKey).toBe(true)
  })

  it('takes * for the simulated exchange only', () => {
    expect(finnhub({ FINNHUB_URL: 'ws://127.0.0.1:8081', SYMBOLS: '*' }).symbols).toEqual(['*'])
    expect(() => choose({ FINNHUB_API_KEY: KEY, SYMBOLS: '*' })).toThrow(/simulated exchange only/)
  })

  it('refuses settings that cannot work, without showing the key', () => {
    for (const env of [
      { FINNHUB_URL: `https://x/?token=${KEY}` },
      { SYMBOLS: ',' },
      { SYMBOLS: `A,${'x'.repeat(65)}` },
    ]) {
      let message = ''
      try {
        choose({ FINNHUB_API_KEY: KEY, ...env })
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toMatch(/FINNHUB_URL|SYMBOLS/)
      expect(message).not.toContain(KEY)
    }
  })

  it('may be a recording, at a speed', () => {
    const recording = { SOURCE: 'recording', RECORDING_FILE: 'day.csv.gz' }
    expect(choose(recording)).toEqual({ kind: 'recording', file: 'day.csv.gz', speed: 1 })
    expect(choose({ ...recording, RECORDING_SPEED: 'max' })).toMatchObject({ speed: 'max' })
    expect(choose({ ...recording, RECORDING_SPEED: '10' })).toMatchObject({ speed: 10 })
    for (const speed of ['0', '-1', 'fast'])
      expect(() => choose({ ...recording, RECORDING_SPEED: speed })).toThrow(/SPEED/)
    expect(() => choose({ SOURCE: 'recording' })).toThrow(/RECORDING_FILE/)
  })
})

it.each([1, 64, 4096])('all that is held together stays within %i MiB', (megabytes) => {
  const { sinkBytes, reserveBytes, maxFrameBytes } = bufferBounds(megabytes)
  expect(sinkBytes + reserveBytes + maxFrameBytes).toBe(megabytes * 1024 * 1024)
  expect(maxFrameBytes).toBeGreaterThanOrEqual(64 * 1024)
})

describe('PRODUCER_COMPRESSION', () => {
  const read = (env: Record<string, string>) => readSettings({ ...COMMON_SETTINGS, ...PRODUCER_SETTINGS }, env)

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('may be %s', (PRODUCER_COMPRESSION) => {
    expect(() => checkCompression(read({ PRODUCER_COMPRESSION }))).not.toThrow()
  })

  it('is refused when Kafka has no such codec', () => {
    expect(() => read({ PRODUCER_COMPRESSION: 'brotli' })).toThrow(/PRODUCER_COMPRESSION/)
  })
})
