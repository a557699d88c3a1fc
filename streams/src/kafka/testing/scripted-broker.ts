import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WireReader } from '../wire/reader.js'
import { WireWriter } from '../wire/writer.js'

const API_VERSIONS = 18
const METADATA = 3
const FETCH = 1
const FIND_COORDINATOR = 10
const SASL_HANDSHAKE = 17
const SASL_AUTHENTICATE = 36
const INIT_PRODUCER_ID = 22
const SASL_AUTHENTICATION_FAILED = 58
const ILLEGAL_SASL_STATE = 34

/** How to answer InitProducerId (and whatever else comes), the request these tests ask with: a whole answer, its first bytes and the end, or nothing. */
export type Manner = 'answer' | 'cut' | 'silence'

/**
 * A broker that speaks as much Kafka as a client needs to connect (ApiVersions v0-v2, Metadata v12) and answers InitProducerId
 * with its own count of them, or misbehaves as told: for what a real broker does only when a cable is pulled.
 */
export class ScriptedBroker {
  manner: () => Manner = () => 'answer'
  /** Takes connections and answers nothing at all, as a process that hangs. */
  hangs = false
  /** How to answer a login; undefined: none is offered. Only PLAIN comes to its end. */
  login?: () => Manner | 'refuse'
  readonly sockets = new Set<Socket>()
  /** On these nothing is answered any more, as when the machine has lost its power. */
  readonly silenced = new Set<Socket>()
  /** Requests that came on those. */
  unheard = 0
  connections = 0
  asked = 0
  readonly #loggingIn = new WeakSet<Socket>()
  readonly #server = createServer((socket) => this.#serve(socket))

  async start(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return `127.0.0.1:${this.#port}`
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #serve(socket: Socket): void {
    this.connections++
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => undefined)
    let received = Buffer.alloc(0)
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const end = 4 + received.readInt32BE(0)
        this.#answer(socket, new WireReader(received.subarray(4, end)))
        received = received.subarray(end)
      }
    })
  }

  #answer(socket: Socket, request: WireReader): void {
    const apiKey = request.int16()
    request.int16()
    const correlationId = request.int32()
    const body = new WireWriter()
    body.int32(0).int32(correlationId)
    if (this.silenced.has(socket)) this.unheard++
    if (this.hangs || this.silenced.has(socket)) return
    const manner = this.#mannerOf(apiKey)
    if (apiKey === API_VERSIONS) this.#apiVersions(body)
    else if (apiKey === FIND_COORDINATOR) this.#coordinator(body)
    else if (apiKey === SASL_HANDSHAKE) this.#saslHandshake(body, socket)
    else if (apiKey === SASL_AUTHENTICATE) this.#saslAuthenticate(body, manner === 'refuse')
    else if (apiKey === METADATA) this.#metadata(body)
    else body.tags().int32(0).int16(0).bigInt64(BigInt(this.asked++)).int16(0).tags()
    body.bytes.writeInt32BE(body.length - 4, 0)
    const bytes = Buffer.from(body.bytes)
    if (manner === 'cut') socket.end(bytes.subarray(0, bytes.length - 5))
    else if (manner !== 'silence') socket.write(bytes)
  }

  #mannerOf(apiKey: number): Manner | 'refuse' {
    if (apiKey === SASL_AUTHENTICATE) return this.login?.() ?? 'answer'
    return [API_VERSIONS, METADATA, FIND_COORDINATOR, SASL_HANDSHAKE].includes(apiKey) ? 'answer' : this.manner()
  }

  #coordinator(body: WireWriter): void {
    body.tags().int32(0).int16(0).compactString(null)
    body.int32(0).compactString('127.0.0.1').int32(this.#port).tags()
  }

  /** One on each connection, as a broker takes it. */
  #saslHandshake(body: WireWriter, socket: Socket): void {
    body.int16(this.#loggingIn.has(socket) ? ILLEGAL_SASL_STATE : 0)
    body.array(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'], (mechanism) => body.string(mechanism))
    this.#loggingIn.add(socket)
  }

  #saslAuthenticate(body: WireWriter, refused: boolean): void {
    body.int16(refused ? SASL_AUTHENTICATION_FAILED : 0).string(refused ? 'wrong password' : null)
    body.int32(0).int64(0)
  }

  #apiVersions(body: WireWriter): void {
    const versions: [number, number, number][] = [
      [API_VERSIONS, 0, 2],
      [METADATA, 0, 12],
      [FETCH, 0, 4],
      [FIND_COORDINATOR, 0, 4],
      [INIT_PRODUCER_ID, 0, 4],
    ]
    if (this.login !== undefined) versions.push([SASL_HANDSHAKE, 0, 1], [SASL_AUTHENTICATE, 0, 1])
    body.int16(0)
    body.array(versions, ([key, first, last]) => body.int16(key).int16(first).int16(last))
    body.int32(0)
  }

  #metadata(body: WireWriter): void {
    body.tags().int32(0)
    body.compactArray([0], () => body.int32(0).compactString('127.0.0.1').int32(this.#port).compactString(null).tags())
    body.compactString('cluster').int32(0)
    body.compactArray([], () => undefined)
    body.tags()
  }
}
