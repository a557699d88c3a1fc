import type { Bar } from '@candlewick/schemas/types'
import type { LatestMarket, Price } from './latest-market.js'
import { parseRequest, type Request, type RequestId } from './requests.js'
import { Subscriptions } from './subscriptions.js'
import { join, type Item, type Shared, type Update } from './update.js'

/**
 * What happens to a slow client, so that nothing grows without bound whatever the client does:
 *
 * - As long as the socket holds less than `behindAboveBytes` for the client, every flush is sent.
 * - Above that the client is behind: nothing is sent; prices are conflated to the latest per symbol and bars to the
 *   latest per (symbol, interval, start). Each frame held back uses up its sequence number, so the client sees a hole.
 * - When the socket has drained, what was held back goes out in one frame, and the session is as before.
 * - When what is held back or the socket exceeds `maxUnsentBytes` (which has to be larger than the largest snapshot),
 *   or the client stays behind for `slowTimeoutMs`, it is told 407 and closed.
 */
export interface SessionLimits {
  heartbeatMs: number
  maxSubscriptions: number
  behindAboveBytes: number
  maxUnsentBytes: number
  slowTimeoutMs: number
}

/** A frame: `text` alone, or `text`, shared bytes and `]}` after one another. */
export interface Frame {
  type: 'welcome' | 'ack' | 'prices' | 'bars' | 'heartbeat' | 'pong' | 'error'
  text: string
  shared?: Uint8Array
}

export type CloseReason = 'slow' | 'dead'

/** What the socket's owner has to do, in this order. */
export type Action =
  | { kind: 'send'; frame: Frame }
  | { kind: 'ping' }
  | { kind: 'close'; code: number; reason: CloseReason }
  | { kind: 'terminate'; reason: CloseReason }

/** RFC 6455, 7.4.1: policy violation. */
const CLOSE_POLICY = 1008

/** Items held back for a client that is behind: the latest of each key. */
type Held<T> = Map<string, Item<T>>

/**
 * The decisions of one WebSocket connection. No socket, no clock, no timer: what came in, how much the socket still
 * holds and what time it is are passed in, and what to do comes back.
 */
export class Session {
  readonly subscriptions = new Subscriptions()
  readonly #limits: SessionLimits
  readonly #heldPrices: Held<Price> = new Map()
  readonly #heldBars: Held<Bar> = new Map()
  #heldBytes = 0
  #seq = 0
  #lastHeardMs: number
  #lastSentMs: number
  #lastPingMs: number
  #behindSinceMs: number | undefined
  #closed = false
  /** Items that were replaced by a later one of the same key before they could be sent. */
  conflated = 0

  /** @param nowMs of a clock that only grows, as everywhere here */
  constructor(
    readonly connection: string,
    limits: SessionLimits,
    nowMs: number,
  ) {
    this.#limits = limits
    this.#lastHeardMs = this.#lastSentMs = this.#lastPingMs = nowMs
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  open(nowMs: number): Action[] {
    const { heartbeatMs } = this.#limits
    return [this.#send(nowMs, 'welcome', { connection: this.connection, heartbeatMs })]
  }

  /** Anything came from the peer, a pong included: it is alive. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs
  }

  /** A text frame came. */
  receive(text: string, unsentBytes: number, nowMs: number, market: LatestMarket): Action[] {
    if (this.#closed) return []
    this.heard(nowMs)
    if (unsentBytes > this.#limits.maxUnsentBytes) return this.closeSlow(nowMs)
    const parsed = parseRequest(text)
    if (parsed.kind === 'error') return [this.#error(nowMs, parsed.code, parsed.message, parsed.id)]
    const { request } = parsed
    if (request.op === 'ping') return [this.#send(nowMs, 'pong', withId({}, request.id))]
    if (request.op === 'subscribe') return this.#subscribe(request, unsentBytes, nowMs, market)
    this.subscriptions.remove(request.channel, request.symbols)
    this.#forgetUnwanted()
    return [this.#acknowledge(nowMs, request.id)]
  }

  /** A binary frame came: there are none in this protocol. */
  receiveBinary(unsentBytes: number, nowMs: number): Action[] {
    if (this.#closed) return []
    this.heard(nowMs)
    if (unsentBytes > this.#limits.maxUnsentBytes) return this.closeSlow(nowMs)
    return [this.#error(nowMs, 400, 'requests are text frames of JSON')]
  }

  /**
   * A flush: sends or holds back what has changed, and looks after the connection. To be called at every flush, also
   * when nothing has changed.
   */
  turn(update: Update | undefined, unsentBytes: number, nowMs: number): Action[] {
    if (this.#closed) return []
    const isBehind = unsentBytes > this.#limits.behindAboveBytes
    if (isBehind) {
      this.#behindSinceMs ??= nowMs
      if (update !== undefined) this.#holdBack(update)
      const isTooSlow =
        unsentBytes > this.#limits.maxUnsentBytes ||
        this.#heldBytes > this.#limits.maxUnsentBytes ||
        nowMs - this.#behindSinceMs >= this.#limits.slowTimeoutMs
      return isTooSlow ? this.closeSlow(nowMs) : []
    }
    if (this.#behindSinceMs !== undefined) {
      this.#behindSinceMs = undefined
      this.heard(nowMs) // it has read what we wrote
    }
    const { heartbeatMs } = this.#limits
    if (nowMs - this.#lastHeardMs >= 2 * heartbeatMs) {
      this.#closed = true
      return [{ kind: 'terminate', reason: 'dead' }]
    }
    const actions = this.#sendChanges(update, nowMs)
    if (nowMs - this.#lastSentMs >= heartbeatMs) {
      actions.push(this.#send(nowMs, 'heartbeat', { seq: ++this.#seq }))
    }
    if (nowMs - this.#lastPingMs >= heartbeatMs) {
      this.#lastPingMs = nowMs
      actions.push({ kind: 'ping' })
    }
    return actions
  }

  #subscribe(
    request: Request & { op: 'subscribe' | 'unsubscribe' },
    unsentBytes: number,
    nowMs: number,
    market: LatestMarket,
  ): Action[] {
    const { channel, id } = request
    const missing = this.subscriptions.missing(channel, request.symbols)
    const { maxSubscriptions } = this.#limits
    if (this.subscriptions.size + missing.length > maxSubscriptions) {
      const message = `at most ${maxSubscriptions} symbols per connection ("*" counts as one); nothing was subscribed`
      return [this.#error(nowMs, 405, message, id)]
    }
    this.subscriptions.add(channel, missing)
    const actions = [this.#acknowledge(nowMs, id)]
    if (missing.length === 0) return actions
    const isBehind = unsentBytes > this.#limits.behindAboveBytes
    if (channel.channel === 'prices') {
      const prices = market.prices(missing)
      if (isBehind) this.#hold(this.#heldPrices, prices)
      else actions.push(this.#sendData(nowMs, 'prices', join(prices), true))
    } else {
      const bars = market.bars(channel.interval, missing)
      if (isBehind) this.#hold(this.#heldBars, bars)
      else actions.push(this.#sendData(nowMs, 'bars', join(bars), true))
    }
    return actions
  }

  #sendChanges(update: Update | undefined, nowMs: number): Action[] {
    const actions: Action[] = []
    const prices = this.#changes(this.#heldPrices, update, this.subscriptions.pricesKey, (from) =>
      this.subscriptions.choosePrices(from),
    )
    if (prices !== undefined) actions.push(this.#sendData(nowMs, 'prices', prices))
    const bars = this.#changes(this.#heldBars, update, this.subscriptions.barsKey, (from) =>
      this.subscriptions.chooseBars(from),
    )
    if (bars !== undefined) actions.push(this.#sendData(nowMs, 'bars', bars))
    return actions
  }

  /** What there is to send of one channel: as a rule what all with the same subscriptions share. */
  #changes<T>(
    held: Held<T>,
    update: Update | undefined,
    key: string | undefined,
    choose: (update: Update) => Item<T>[],
  ): Shared | undefined {
    if (held.size === 0) {
      if (key === undefined) return undefined
      const shared = update?.share(key, () => choose(update))
      return shared === undefined || shared.count === 0 ? undefined : shared
    }
    if (update !== undefined && key !== undefined) this.#hold(held, choose(update))
    const items = [...held.values()]
    this.#letGo(held)
    return join(items)
  }

  #holdBack(update: Update): void {
    const prices = this.subscriptions.pricesKey === undefined ? [] : this.subscriptions.choosePrices(update)
    const bars = this.subscriptions.barsKey === undefined ? [] : this.subscriptions.chooseBars(update)
    if (prices.length > 0) this.#seq++
    if (bars.length > 0) this.#seq++
    this.#hold(this.#heldPrices, prices)
    this.#hold(this.#heldBars, bars)
  }

  #hold<T>(held: Held<T>, items: readonly Item<T>[]): void {
    for (const item of items) {
      const before = held.get(item.key)
      if (before === item) continue
      if (before !== undefined) {
        this.conflated++
        this.#heldBytes -= before.json.length
      }
      this.#heldBytes += item.json.length
      held.set(item.key, item)
    }
  }

  #letGo<T>(held: Held<T>): void {
    for (const item of held.values()) this.#heldBytes -= item.json.length
    held.clear()
  }

  /** After an unsubscribe nothing of it may come any more, neither what was held back. */
  #forgetUnwanted(): void {
    this.#keepOnly(this.#heldPrices, (price) => this.subscriptions.wantsPrice(price))
    this.#keepOnly(this.#heldBars, (bar) => this.subscriptions.wantsBar(bar))
  }

  #keepOnly<T>(held: Held<T>, isWanted: (value: T) => boolean): void {
    for (const [key, item] of held) {
      if (isWanted(item.value)) continue
      this.#heldBytes -= item.json.length
      held.delete(key)
    }
  }

  #sendData(nowMs: number, type: 'prices' | 'bars', { bytes }: Shared, isSnapshot = false): Action {
    this.#lastSentMs = nowMs
    const text = `{"type":"${type}","seq":${++this.#seq},${isSnapshot ? '"snapshot":true,' : ''}"data":[`
    return { kind: 'send', frame: { type, text, shared: bytes } }
  }

  #acknowledge(nowMs: number, id: RequestId | undefined): Action {
    return this.#send(nowMs, 'ack', withId({ subscriptions: this.subscriptions.list() }, id))
  }

  #error(nowMs: number, code: number, message: string, id?: RequestId): Action {
    return this.#send(nowMs, 'error', withId({ code, message }, id))
  }

  #send(nowMs: number, type: Frame['type'], fields: object): Action {
    this.#lastSentMs = nowMs
    return { kind: 'send', frame: { type, text: JSON.stringify({ type, ...fields }) } }
  }

  closeSlow(nowMs: number): Action[] {
    if (this.#closed) return []
    this.#closed = true
    const waiting = this.#heldPrices.size + this.#heldBars.size
    const message = `too slow: ${waiting} updates wait for you and ${this.conflated} were replaced by later ones`
    this.#letGo(this.#heldPrices)
    this.#letGo(this.#heldBars)
    return [this.#error(nowMs, 407, message), { kind: 'close', code: CLOSE_POLICY, reason: 'slow' }]
  }
}

function withId(fields: object, id: RequestId | undefined): object {
  return id === undefined ? fields : { id, ...fields }
}
