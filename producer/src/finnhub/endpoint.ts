import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/**
 * Where the feed is and the key that opens it. The key is nowhere but in `withKey`, which goes to the socket and is shown
 * to nobody; whatever text is shown goes through `redact` first, because a server may send the key back in a message.
 */
export class Endpoint {
  /** scheme://host/path: fit to be shown */
  readonly shown: string
  readonly host: string
  readonly #url: URL
  readonly #secrets: readonly string[]

  /** @throws TypeError when `url` is not a ws: or wss: URL (its message shows nothing of it) */
  constructor(url: string, key: string) {
    const parsed = parse(url)
    this.host = parsed.hostname
    this.shown = `${parsed.protocol}//${parsed.host}${parsed.pathname}`
    // A token that was written into the URL is a secret as well.
    const secrets = [key, parsed.searchParams.get('token') ?? '', parsed.password].filter((secret) => secret !== '')
    if (key !== '') parsed.searchParams.set('token', key)
    this.#secrets = [...new Set(secrets.flatMap(spellings))]
    this.#url = parsed
  }

  withKey(): URL {
    return this.#url
  }

  get hasKey(): boolean {
    return this.#url.searchParams.has('token')
  }

  get isFinnhub(): boolean {
    return this.host === 'finnhub.io' || this.host.endsWith('.finnhub.io')
  }

  /** The key would cross a network in the clear. */
  get isExposed(): boolean {
    return this.#url.protocol === 'ws:' && !LOOPBACK.test(this.host)
  }

  redact(text: string): string {
    return this.#secrets.reduce((shown, secret) => shown.replaceAll(secret, '[key]'), text)
  }

  /**
   * The way through the proxy that HTTPS_PROXY (for wss:), HTTP_PROXY (for ws:) and NO_PROXY name; none for this machine.
   * The variables are read at each call.
   */
  proxyAgent(): HttpsProxyAgent<string> | undefined {
    if (LOOPBACK.test(this.host)) return undefined
    const secure = this.#url.protocol === 'wss:'
    // proxy-from-env would look for WSS_PROXY: to a proxy a WebSocket is what HTTP(S) is.
    const proxy = getProxyForUrl(`${secure ? 'https' : 'http'}://${this.#url.host}/`)
    return proxy === '' ? undefined : new HttpsProxyAgent(proxy)
  }
}

/** A secret as it may stand in a text: bare, or in one of the ways a URL writes it. */
function spellings(secret: string): string[] {
  return [secret, encodeURIComponent(secret), new URLSearchParams({ s: secret }).toString().slice(2)]
}

function parse(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:')) {
    throw new TypeError('not a ws:// or wss:// URL')
  }
  parsed.hash = ''
  return parsed
}
