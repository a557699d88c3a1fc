/**
 * Every mend of KafkaJS 2.2.4, in one place. Each says what is wrong and what it costs; none changes what KafkaJS sends,
 * except that metadata is asked with our own request.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { AuthenticationProviderArgs, ISocketFactory, LogEntry, Mechanism, SaslAuthenticateArgs } from 'kafkajs'
import type { KafkaConfig, KafkaLog, SaslOptions } from './config.js'
import { KafkaError } from './errors.js'
import {
  assertKafkaJsShape,
  connectionClass,
  loginsBy,
  requestQueueClass,
  type Broker,
  type BrokerMetadata,
  type Cluster,
  type KafkaJsConnection,
  type RequestQueue,
} from './kafkajs-private.js'

let mended = false

/** Mends the classes, once per process. Throws if KafkaJS does not have the expected shape. */
export function mendKafkaJs(): void {
  if (mended) return
  assertKafkaJsShape()
  mendIdleTimer(requestQueueClass.prototype)
  mendTimeoutCheck(requestQueueClass.prototype)
  mendReconnect(connectionClass.prototype)
  mendAnswerCopy(connectionClass.prototype)
  mendTlsAlert(connectionClass.prototype)
  mendReauthentication(connectionClass.prototype)
  mendUnfinishedLogin(connectionClass.prototype)
  mended = true
}

/**
 * After the first request, scheduleCheckPendingRequests arms a timer that re-arms itself every millisecond for ever, also
 * with nothing to send (kafkajs issue #1751): 2 % of a core while idle. With nothing pending there is nothing to check.
 */
function mendIdleTimer(queue: RequestQueue): void {
  const original = queue.scheduleCheckPendingRequests
  queue.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) original.call(this)
  }
}

/** Request timeouts are tens of seconds: looking once a second is enough. */
const TIMEOUT_CHECK_MS = 1000

/**
 * KafkaJS looks for timed-out requests ten times a second per connection, and stops looking as soon as the connection is
 * being closed; but closing waits for the answers, so a broker that hangs made disconnect() wait for ever.
 */
function mendTimeoutCheck(queue: RequestQueue): void {
  queue.scheduleRequestTimeoutCheck = function (this: RequestQueue) {
    if (!this.enforceRequestTimeout) return
    this.destroy()
    const check = () => {
      const now = Date.now()
      for (const request of [...this.inflight.values()]) {
        if (now - request.sentAt > request.requestTimeout) request.timeoutRequest()
      }
      if (!this.isConnected() && this.inflight.size === 0) this.destroy()
    }
    this.requestTimeoutIntervalId = setInterval(check, Math.min(this.requestTimeout, TIMEOUT_CHECK_MS))
  }
}

/**
 * Faults of a connection that breaks and is opened again:
 * - connect() has no lock: two first requests at once opened two sockets for one connection object, and the one that lost
 *   stayed open without an owner. Now the second waits for the first's.
 * - the beginning of an answer that was cut off stayed in the buffer, so the next connection's bytes were read behind it, as
 *   garbage. Now each connection starts with an empty buffer.
 * - disconnect() ends the socket but goes on listening to it: a late answer or end of the old socket hit the new one. And it
 *   keeps it, and adds a listener to it at every further disconnect(), of which a long outage brings many. Now the old socket
 *   is destroyed and forgotten.
 * - disconnect() waits before it takes the socket, so a connect() in between lost its new socket. Now connect() waits.
 * - disconnect() while connecting left the connect() to its timeout. Now it fails at once.
 */
function mendReconnect(connection: KafkaJsConnection): void {
  const { connect, disconnect } = connection
  const opening = new WeakMap<KafkaJsConnection, Promise<boolean>>()
  const closing = new WeakMap<KafkaJsConnection, Promise<boolean>>()

  connection.connect = function (this: KafkaJsConnection) {
    const underway = opening.get(this)
    if (underway !== undefined) return underway
    if (this.isConnected()) return Promise.resolve(true)
    const open = async () => {
      await closing.get(this)
      this.chunks = []
      this.bytesBuffered = 0
      this.bytesNeeded = 4
      return connect.call(this)
    }
    const attempt = open().finally(() => opening.delete(this))
    opening.set(this, attempt)
    return attempt
  }

  connection.disconnect = function (this: KafkaJsConnection) {
    const { socket } = this
    // Without an error nobody would tell the connect() that waits for this socket, before its timeout.
    const given = opening.has(this) && !this.isConnected() ? new Error('closed while connecting') : undefined
    const attempt = disconnect.call(this).finally(() => {
      socket?.destroy(given)
      if (this.socket === socket) delete this.socket
      if (closing.get(this) === attempt) closing.delete(this)
    })
    closing.set(this, attempt)
    return attempt
  }
}

/**
 * After each answer an empty buffer is left in front of the next one's bytes, so that every answer that came in one piece was
 * copied once more to join the two.
 */
function mendAnswerCopy(connection: KafkaJsConnection): void {
  const original = connection.processData
  connection.processData = function (this: KafkaJsConnection, bytes: Buffer) {
    if (this.bytesBuffered === 0) this.chunks = []
    original.call(this, bytes)
  }
}

/** A TLS record of type alert (21), version 3.x: RFC 8446, 5.1. As the size of an answer it would be 352 MB. */
const TLS_ALERT = [21, 3] as const

/**
 * A broker's port that speaks TLS answers plain requests with a TLS alert and hangs up. KafkaJS takes it for the beginning of
 * an answer, so the failure looked like a broker that is going away, and was retried for ever.
 */
function mendTlsAlert(connection: KafkaJsConnection): void {
  const original = connection.processData
  connection.processData = function (this: KafkaJsConnection, bytes: Buffer) {
    const isAlert = this.bytesBuffered === 0 && bytes[0] === TLS_ALERT[0] && bytes[1] === TLS_ALERT[1]
    if (!isAlert || this.ssl) return original.call(this, bytes)
    this.rejectRequests(
      KafkaError.tls('the broker speaks TLS on this port, and this client does not', { broker: this.broker }),
    )
    void this.disconnect()
  }
}

/** Of the time a login is good for, as in the Java client: the rest is for slow networks and clocks that differ. */
const REAUTHENTICATE_AFTER = 0.85

/**
 * When a broker limits how long a login is good for (connections.max.reauth.ms, KIP-368), KafkaJS logs in again 10 s before its
 * end; with a limit of 10 s or less that is before every single request, which brokers refuse (once a second is the most).
 * While a connection logs in, its other requests wait (KafkaJS sees to that): a broker takes nothing else meanwhile.
 */
function mendReauthentication(connection: KafkaJsConnection): void {
  connection.isAuthenticated = function (this: KafkaJsConnection) {
    if (this.authenticatedAt === null) return false
    const lifetimeMs = Number(this.sessionLifetime)
    if (lifetimeMs === 0) return true
    const [seconds, nanoseconds] = process.hrtime(this.authenticatedAt)
    return seconds * 1e3 + nanoseconds / 1e6 < lifetimeMs * REAUTHENTICATE_AFTER
  }
}

/**
 * A connection whose login did not come to its end stayed open, and the next try began on it with a second handshake, which a
 * broker takes for a client out of its mind (ILLEGAL_SASL_STATE). Now the next try begins with a new connection.
 */
function mendUnfinishedLogin(connection: KafkaJsConnection): void {
  const original = connection.authenticate
  connection.authenticate = async function (this: KafkaJsConnection) {
    try {
      await original.call(this)
    } catch (error) {
      void this.disconnect()
      throw error
    }
  }
}

/**
 * Everybody who needs a broker that is not connected tried to connect to it in turn; whoever failed closed the connection, on
 * which the next one had just begun. While a broker is away, many users hold each other up for whole connection timeouts, and
 * with them the refresh of metadata that would tell who leads instead. Now there is one attempt at a time, and all who ask
 * share its outcome. There is no second try: whoever asks has the better plan (metadata first).
 */
export function mendBrokerConnect(cluster: Cluster): void {
  const pool = cluster.brokerPool
  const underway = new Map<Broker, Promise<void>>()
  const connect = async (broker: Broker) => {
    try {
      await broker.connect()
    } catch (error) {
      // Also an authentication or a version request that failed halfway: the next attempt begins with new sockets.
      await broker.disconnect()
      const { host, port, rack } = broker.connectionPool
      broker.connectionPool = await pool.connectionPoolBuilder.build({ host, port, rack })
      throw error
    }
  }
  pool.connectBroker = (broker) => {
    if (broker.isConnected()) return Promise.resolve()
    const known = underway.get(broker)
    if (known !== undefined) return known
    const attempt = connect(broker).finally(() => underway.delete(broker))
    underway.set(broker, attempt)
    return attempt
  }
}

/**
 * KafkaJS's Metadata fails as a whole when a single topic is missing, so one deleted topic would keep every other user of the
 * client from learning about new leaders; with no topics it asks for all of the cluster; and it has no topic ids.
 * Every broker object of this cluster asks through `fetchMetadata` instead.
 */
export function mendMetadata(
  cluster: Cluster,
  fetchMetadata: (broker: Broker, topics: readonly string[]) => Promise<BrokerMetadata>,
): void {
  const pool = cluster.brokerPool
  const original = pool.createBroker
  pool.createBroker = (options) => {
    const broker = original(options)
    broker.metadata = (topics = []) => fetchMetadata(broker, topics)
    return broker
  }
}

/**
 * Sockets as KafkaJS makes them, with three differences: TCP_NODELAY, because a small request after another one waited up to
 * 40 ms for the peer's delayed acknowledgement; keep-alive probes from 15 s of silence on; and none once `closing` is aborted,
 * because KafkaJS's search for a broker that answers goes on after disconnect(), and nobody closed what it opened then.
 */
export function socketFactory(closing: AbortSignal): ISocketFactory {
  return ({ host, port, ssl, onConnect }): Socket => {
    if (closing.aborted) throw KafkaError.closed()
    const target = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 }
    if (ssl === null || ssl === undefined) return connectTcp(target, onConnect)
    return connectTls({ ...(isIP(host) === 0 && { servername: host }), ...ssl, ...target }, onConnect).setNoDelay(true)
  }
}

/** TLS options as Node takes them. */
export function tlsOptions(ssl: KafkaConfig['ssl']): ConnectionOptions | undefined {
  if (ssl === undefined || ssl === false) return undefined
  return ssl === true ? {} : ssl
}

/**
 * A login as KafkaJS takes it. Whatever ended one, KafkaJS said that it had failed and left out why, so a broker that went away
 * in the middle of it looked like one that refuses the password. Now only what a broker has answered is a refusal; a connection
 * that broke, or an answer that did not come, is thrown as what it is.
 */
export function saslOptions({ mechanism, ...login }: SaslOptions): Mechanism {
  const provider = loginsBy[mechanism]({ mechanism, ...login })
  const authenticationProvider = (args: AuthenticationProviderArgs) => {
    let unanswered: unknown
    const saslAuthenticate = async <T>(exchange: SaslAuthenticateArgs<T>) => {
      try {
        return await args.saslAuthenticate(exchange)
      } catch (error) {
        if ((error as Error).name !== 'KafkaJSProtocolError') unanswered = error
        throw error
      }
    }
    const authenticator = provider({ ...args, saslAuthenticate })
    const authenticate = async () => {
      try {
        await authenticator.authenticate()
      } catch (refused) {
        throw unanswered ?? refused
      }
    }
    return { authenticate }
  }
  return { mechanism, authenticationProvider }
}

/** Namespaces that log every failed try of what we retry and report once ourselves. */
const NOISY = /^(Connection|ConnectionPool|BrokerPool|Broker|Cluster|RequestQueue|SaslAuthenticator-.*)$/

/**
 * KafkaJS's log into ours. What it repeats per try (connections, logins, metadata, coordinators that still load) goes to
 * debug. Of an entry's fields only plain values are kept, and no stack.
 */
export function logTo(log: KafkaLog): (entry: LogEntry) => void {
  return ({ namespace, label, log: entry }) => {
    const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...rest } = entry
    const plain = Object.entries(rest).filter(([, value]) => typeof value === 'string' || typeof value === 'number')
    const fields = { kafkajs: namespace, ...Object.fromEntries(plain) }
    if (NOISY.test(namespace) || label === 'DEBUG' || label === 'INFO') log.debug(fields, message)
    else if (label === 'WARN') log.warn(fields, message)
    else log.error(fields, message)
  }
}
