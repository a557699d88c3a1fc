import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Connection, type Link } from './connection.js'
import type { Frame } from './protocol.js'

class FakeSocket extends EventTarget {
  static readonly OPEN = 1
  static all: FakeSocket[] = []
  readyState = 0
  readonly sent: unknown[] = []
  constructor() {
    super()
    FakeSocket.all.push(this)
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }
  close(): void {
    this.readyState = 3
  }
  accept(): void {
    this.readyState = 1
    this.dispatchEvent(new Event('open'))
    this.say({ type: 'welcome', connection: 'c', heartbeatMs: 1000 })
  }
  say(frame: Frame): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(frame) }))
  }
  drop(): void {
    this.readyState = 3
    this.dispatchEvent(new Event('close'))
  }
}

const newest = () => FakeSocket.all.at(-1)!
let links: Link[] = []
let frames: Frame[] = []
let opened = 0
let connection: Connection
let page: EventTarget

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.all = []
  links = []
  frames = []
  opened = 0
  page = new EventTarget()
  vi.stubGlobal('WebSocket', FakeSocket)
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: false }))
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  const listener = {
    onOpen: () => void opened++,
    onFrame: (frame: Frame) => void frames.push(frame),
    onLink: (link: Link) => void links.push(link),
  }
  connection = new Connection(listener, new URL('ws://api.test/ws'))
  connection.start()
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

it('is live once it is open, and asks the page to subscribe', () => {
  newest().accept()
  expect(connection.link).toEqual({ kind: 'live' })
  expect(opened).toBe(1)
  connection.send({ op: 'ping' })
  expect(newest().sent).toEqual([{ op: 'ping' }])
})

it('comes back by itself after it was dropped, and asks to subscribe again', () => {
  newest().accept()
  newest().drop()
  expect(connection.link.kind).toBe('reconnecting')
  vi.advanceTimersByTime(1000)
  expect(FakeSocket.all).toHaveLength(2)
  newest().accept()
  expect(opened).toBe(2)
  expect(connection.link.kind).toBe('live')
})

it('waits longer after every failure, never more than 15 s', () => {
  const waits: number[] = []
  for (let attempt = 0; attempt < 8; attempt++) {
    newest().drop()
    const link = connection.link
    waits.push(link.kind === 'reconnecting' ? link.atMs - Date.now() : NaN)
    vi.advanceTimersToNextTimer()
  }
  expect(waits[0]).toBeLessThanOrEqual(1000)
  expect(waits[6]).toBeGreaterThanOrEqual(7500)
  expect(Math.max(...waits)).toBeLessThanOrEqual(15_000)
})

it('does not hurry a server that accepts and drops', () => {
  for (let attempt = 0; attempt < 6; attempt++) {
    newest().accept()
    newest().drop()
    vi.advanceTimersToNextTimer()
  }
  newest().drop()
  expect(connection.link.kind === 'reconnecting' && connection.link.atMs - Date.now()).toBeGreaterThanOrEqual(7500)
})

it('is stale when nothing has come for longer than promised, asks, and is live again with the answer', () => {
  newest().accept()
  vi.advanceTimersByTime(6000)
  expect(connection.link.kind).toBe('stale')
  expect(newest().sent).toEqual([{ op: 'ping' }])
  newest().say({ type: 'pong' })
  expect(connection.link.kind).toBe('live')
})

it('gives up a connection that stays silent, whatever that one says later', () => {
  newest().accept()
  const silent = newest()
  vi.advanceTimersByTime(12_000)
  expect(FakeSocket.all.length).toBeGreaterThan(1)
  expect(silent.readyState).toBe(3)
  const heard = frames.length
  silent.say({ type: 'heartbeat', seq: 1 })
  silent.drop()
  expect(frames).toHaveLength(heard)
})

it('gives up an attempt nobody answers', () => {
  vi.advanceTimersByTime(10_000)
  expect(connection.link).toMatchObject({ kind: 'reconnecting', reason: 'no answer' })
})

it('tries at once when the network is back', () => {
  newest().drop()
  page.dispatchEvent(new Event('online'))
  expect(FakeSocket.all).toHaveLength(2)
})

it('tells why the server closed', () => {
  newest().accept()
  newest().say({ type: 'error', code: 407, message: 'too slow: ...' })
  newest().drop()
  expect(connection.link).toMatchObject({ kind: 'reconnecting', reason: 'this page was too slow for the feed' })
})
