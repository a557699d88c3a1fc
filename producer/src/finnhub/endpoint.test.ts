import { afterEach, describe, expect, it, vi } from 'vitest'
import { Endpoint } from './endpoint.js'

const KEY = 'c0ffee key/+='
const FINNHUB = 'wss://ws.finnhub.io'

afterEach(() => vi.unstubAllEnvs())

/** Nothing of the machine's own proxies. */
function environment(variables: Record<string, string>): void {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY']) {
    vi.stubEnv(name, '')
    vi.stubEnv(name.toLowerCase(), '')
  }
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
}

describe('the feed’s address', () => {
  it('carries the key as Finnhub wants it', () => {
    expect(new Endpoint(FINNHUB, KEY).withKey().searchParams.get('token')).toBe(KEY)
  })

  it('shows neither the key nor a user’s password', () => {
    const endpoint = new Endpoint('wss://user:pass@feed.example/path?token=other&x=1#y', KEY)
    expect(endpoint.shown).toBe('wss://feed.example/path')
  })

  it('strikes the key out of any text, however it is spelled there', () => {
    const endpoint = new Endpoint(`${FINNHUB}?token=older-key`, KEY)
    const text = `${endpoint.withKey().href} ${KEY} ${encodeURIComponent(KEY)} older-key`
    const shown = endpoint.redact(text)
    for (const secret of ['c0ffee', 'older-key']) expect(shown).not.toContain(secret)
    expect(shown).toContain('[key]')
  })

  it('refuses what is no WebSocket URL, and says nothing of it', () => {
    for (const url of ['https://ws.finnhub.io', 'ws.finnhub.io', `nonsense ${KEY}`, '']) {
      expect(() => new Endpoint(url, KEY)).toThrow(/^not a ws:\/\/ or wss:\/\/ URL$/)
    }
  })

  it('knows Finnhub by its name, and a key that would travel in the clear', () => {
    expect(new Endpoint(FINNHUB, KEY)).toMatchObject({ isFinnhub: true, isExposed: false, hasKey: true })
    expect(new Endpoint('ws://ws.finnhub.io', KEY)).toMatchObject({ isFinnhub: true, isExposed: true })
    expect(new Endpoint('ws://127.0.0.1:8081', '')).toMatchObject({ isFinnhub: false, isExposed: false, hasKey: false })
    expect(new Endpoint('wss://notfinnhub.io', KEY).isFinnhub).toBe(false)
  })
})

describe('the way through a proxy', () => {
  it('is what HTTPS_PROXY names for wss:, and HTTP_PROXY for ws:', () => {
    environment({ HTTPS_PROXY: 'http://proxy.example:3128', HTTP_PROXY: 'http://other.example:80' })
    expect(new Endpoint(FINNHUB, KEY).proxyAgent()?.proxy.host).toBe('proxy.example:3128')
    expect(new Endpoint('ws://feed.example', KEY).proxyAgent()?.proxy.host).toBe('other.example')
  })

  it('is not taken for a host of NO_PROXY, nor for this machine, nor without a proxy', () => {
    environment({
      HTTPS_PROXY: 'http://proxy.example:3128',
      HTTP_PROXY: 'http://proxy.example:3128',
      NO_PROXY: '.finnhub.io',
    })
    expect(new Endpoint(FINNHUB, KEY).proxyAgent()).toBeUndefined()
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '127.1.2.3']) {
      expect(new Endpoint(`ws://${host}:8081`, KEY).proxyAgent()).toBeUndefined()
    }
    environment({})
    expect(new Endpoint(FINNHUB, KEY).proxyAgent()).toBeUndefined()
  })
})
