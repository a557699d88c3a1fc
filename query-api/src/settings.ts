import { CASSANDRA_SETTINGS } from '@candlewick/cassandra/settings'
import { KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { integer, listOf, port, str, type Settings } from '@candlewick/service/settings'
import { fileURLToPath } from 'node:url'
import type { AppOptions } from './app.js'

const KIB = 1_024
const MIB = 1_024 * KIB

/** Settings of the API, besides those of every process. */
export const API_SETTINGS = {
  ...KAFKA_SETTINGS,
  ...CASSANDRA_SETTINGS,
  API_PORT: port({ default: 8080, desc: 'port to listen on' }),
  APPLICATION_ID: str({ default: 'candlewick', desc: 'application id of the processors to ask' }),
  TOPIC_PREFIX: str({ default: '', desc: 'put before the names of all topics' }),
  INTERNAL_TOKEN: str({ default: '', desc: 'what the processors want to hear from us; empty = nothing' }),
  ALLOWED_ORIGINS: listOf(
    isOrigin,
    'an origin as a browser names it, like https://example.com or http://10.0.0.5:8080',
  )({
    default: [],
    desc: 'origins besides our own whose pages may read answers and open WebSockets, as https://host:port',
  }),
  WS_FLUSH_MS: integer(10, 10_000)({ default: 100, desc: 'WebSocket clients get what has changed at most so often' }),
  WS_HEARTBEAT_MS: integer(
    100,
    600_000,
  )({ default: 15_000, desc: 'between heartbeats and pings to WebSocket clients' }),
  WS_MAX_CONNECTIONS: integer(1)({ default: 1_000, desc: 'WebSocket clients at a time' }),
  WS_MAX_SYMBOLS: integer(1)({ default: 500, desc: 'symbols per WebSocket client, "*" counts as one' }),
  WS_MAX_TRACKED_SYMBOLS: integer(1)({ default: 20_000, desc: 'symbols whose latest values are kept for snapshots' }),
  WS_MAX_FRAME_BYTES: integer(64)({ default: 64 * KIB, desc: 'longest frame a WebSocket client may send' }),
  WS_BEHIND_BYTES: integer(0)({ default: 64 * KIB, desc: 'unsent bytes above which a client’s updates are conflated' }),
  WS_MAX_UNSENT_BYTES: integer(KIB)({ default: 8 * MIB, desc: 'unsent bytes above which a slow client is closed' }),
  WS_MAX_TOTAL_UNSENT_BYTES: integer(KIB)({ default: 256 * MIB, desc: 'the same over all clients together' }),
  WS_SLOW_TIMEOUT_MS: integer(100)({ default: 30_000, desc: 'a client that stays behind for so long is closed' }),
}

/** Anything else would never equal the `Origin` header of a browser. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.parse(text)?.origin === text
}

/** How long a WebSocket peer has to answer our close frame: well within the time a container gets to end. */
const CLOSE_TIMEOUT_MS = 2_000

const PAGE_DIRECTORY = fileURLToPath(new URL('../web/dist', import.meta.url))

/** The settings as the app takes them. */
export function appOptions(settings: Settings<typeof API_SETTINGS>): AppOptions {
  return {
    allowedOrigins: settings.ALLOWED_ORIGINS,
    pageDirectory: PAGE_DIRECTORY,
    flushMs: settings.WS_FLUSH_MS,
    heartbeatMs: settings.WS_HEARTBEAT_MS,
    maxConnections: settings.WS_MAX_CONNECTIONS,
    maxSubscriptions: settings.WS_MAX_SYMBOLS,
    maxFrameBytes: settings.WS_MAX_FRAME_BYTES,
    behindAboveBytes: settings.WS_BEHIND_BYTES,
    maxUnsentBytes: settings.WS_MAX_UNSENT_BYTES,
    maxTotalUnsentBytes: settings.WS_MAX_TOTAL_UNSENT_BYTES,
    slowTimeoutMs: settings.WS_SLOW_TIMEOUT_MS,
    closeTimeoutMs: CLOSE_TIMEOUT_MS,
  }
}
