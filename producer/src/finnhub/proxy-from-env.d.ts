declare module 'proxy-from-env' {
  /** @returns the proxy's URL by the *_PROXY and NO_PROXY environment variables, '' for none */
  export function getProxyForUrl(url: string | URL): string
}
