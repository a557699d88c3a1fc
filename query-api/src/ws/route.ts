import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { ProblemError } from '../problems.js'
import { problemAnswer, NoQuery } from '../schemas.js'
import { isOriginAllowed } from '../security.js'
import type { Hub } from './hub.js'
import { webSocketUpgrades } from './upgrades.js'

export interface WebSocketRouteOptions {
  allowedOrigins: readonly string[]
  /** A longer frame of a client ends its connection with 1009. */
  maxFrameBytes: number
}

const DESCRIPTION = `Frames are JSON texts.

Client: \`{"op":"subscribe"|"unsubscribe","id"?,"channel":"prices"|"bars","symbols":["AAPL"|"*"],"interval"?:"1m"}\`, \`{"op":"ping","id"?}\`.

Server: \`welcome\`, \`ack\` (with the list of subscriptions), \`prices\` and \`bars\` (a \`snapshot\` after a subscribe, then what
has changed), \`heartbeat\`, \`pong\`, \`error\` with code 400 (no request), 405 (too many symbols), 406 (too many connections),
407 (slow client), 410 (no such subscription). \`seq\` counts by one per connection; a hole says that updates were conflated.`

/** GET /ws: the upgrade, refused to pages of other origins before it happens. */
export async function webSocketRoute(app: FastifyInstance, hub: Hub, options: WebSocketRouteOptions): Promise<void> {
  await app.register(websocket, {
    // autoPong is off because it answers without asking how much is waiting to be sent: the hub answers pings.
    options: {
      server: webSocketUpgrades(app),
      maxPayload: options.maxFrameBytes,
      autoPong: false,
      perMessageDeflate: false,
    },
    errorHandler: (error, socket, request) => {
      request.log.debug({ err: error }, 'a WebSocket connection broke')
      socket.terminate()
    },
    preClose: function (done) {
      hub.close().then(() => {
        this.websocketServer.close(() => done())
      }, done)
    },
  })
  app.route({
    method: 'GET',
    url: '/ws',
    schema: {
      tags: ['live'],
      summary: 'WebSocket: prices and bars as they change',
      description: DESCRIPTION,
      querystring: NoQuery,
      response: {
        101: { description: 'the WebSocket protocol from here on', type: 'null' },
        400: problemAnswer('bad parameter'),
        403: problemAnswer('a page of an origin that is not allowed'),
        426: problemAnswer('asked for without an upgrade'),
        503: problemAnswer('too many connections'),
      },
    },
    onRequest: async (request) => {
      const { origin, host } = request.headers
      if (!isOriginAllowed(origin, host, options.allowedOrigins)) {
        throw new ProblemError('forbidden-origin', 'pages of this origin may not connect: see ALLOWED_ORIGINS')
      }
      if (request.ws && !hub.canAnswer) throw new ProblemError('too-many-connections', 'try again later')
    },
    handler: async (_request, reply) => {
      reply.header('upgrade', 'websocket')
      throw new ProblemError('upgrade-required', 'this is a WebSocket: connect with ws:// or wss://')
    },
    wsHandler: (socket) => hub.accept(socket),
  })
}
