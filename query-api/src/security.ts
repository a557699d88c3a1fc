import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/**
 * What a page of ours may do: load itself, nothing foreign, and talk to where it came from. `ws:` and `wss:` are for
 * browsers to whom 'self' means http alone.
 */
const policy = (styles: string) =>
  [
    "default-src 'self'",
    "script-src 'self'",
    `style-src ${styles}`,
    "img-src 'self' data:",
    "connect-src 'self' ws: wss:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

export const CONTENT_SECURITY_POLICY = policy("'self'")
/** Swagger UI writes styles into its elements. */
export const DOCS_SECURITY_POLICY = policy("'self' 'unsafe-inline'")

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

/** Headers on every answer, and other origins' scripts only from where it is allowed. */
export async function addSecurity(app: FastifyInstance, allowedOrigins: readonly string[]): Promise<void> {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS)
  })
  if (allowedOrigins.length === 0) return
  await app.register(cors, {
    origin: [...allowedOrigins],
    methods: ['GET', 'HEAD'],
    exposedHeaders: ['Retry-After'],
    maxAge: 600,
    strictPreflight: false,
  })
}

/**
 * Whether a WebSocket may be opened: browsers name the page's origin and do not hold pages to their own, so we do.
 * @param origin header `Origin`; absent = not a browser
 * @param host header `Host`, as the client reached us
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowedOrigins: readonly string[],
): boolean {
  if (origin === undefined) return true
  if (allowedOrigins.includes(origin)) return true
  if (host === undefined || !URL.canParse(origin)) return false
  const url = new URL(origin)
  // The scheme is not compared: behind a proxy that ends TLS we cannot know what the browser saw.
  return (
    (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === origin && url.host === hostOf(url, host)
  )
}

/** The Host header as a URL of the origin's scheme spells it: lower case, without the scheme's own port. */
function hostOf(origin: URL, host: string): string | undefined {
  const text = `${origin.protocol}//${host}`
  return URL.canParse(text) ? new URL(text).host : undefined
}
