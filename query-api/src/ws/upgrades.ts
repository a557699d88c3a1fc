import { EventEmitter } from 'node:events'
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** A request whose upgrade was ignored is answered at once; one whose body does not come is given up. */
const IGNORED_TIMEOUT_MS = 10_000

/**
 * The upgrades that are for a WebSocket, told apart from all others. Java's HttpClient and `curl --http2` offer
 * `Upgrade: h2c` with every request, and a server ignores what it does not speak (RFC 9110, section 7.8); Node.js, once
 * somebody listens for upgrades, hands over all of them.
 * @returns what @fastify/websocket may listen to in place of the server
 */
export function webSocketUpgrades(app: FastifyInstance): Server {
  const upgrades = new EventEmitter()
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() === 'websocket') upgrades.emit('upgrade', request, socket, head)
    else answerAsIs(app, request, socket as Socket)
  })
  return upgrades as Server
}

/** Answers by the routes, as if no upgrade had been offered, and closes: the parser has left the connection. */
function answerAsIs(app: FastifyInstance, request: IncomingMessage, socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.setTimeout(IGNORED_TIMEOUT_MS, () => socket.destroy())
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.on('finish', () => socket.end())
  app.routing(request, response)
}
