import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answer, type Query, type QueryableStreams } from './answer.js'
import { FAILURES, TARGET_HEADER, type QueryFailure } from './protocol.js'
import { parseRequest, QueryRefusal } from './request.js'
import { storeRead } from './store-reads.js'
import { QueryError } from './task-view.js'

export type { Query, QueryableStreams, QueryRequest } from './answer.js'

/** What the routes answer from, and who may ask. */
export interface QueryServerOptions {
  streams: QueryableStreams
  /** The application's own queries, by name; its stores can be read without any. */
  queries?: Readonly<Record<string, Query>>
  /** When set, callers must send it as `Authorization: Bearer <token>`. */
  token?: string
}

interface Answered {
  Params: { name: string; read: string }
  Querystring: Record<string, unknown>
}

const utf8Bytes = (key: string): Buffer => Buffer.from(key, 'utf8')

/** A Fastify plugin with the routes of protocol.ts. */
export function queryRoutes({ streams, queries = {}, token }: QueryServerOptions) {
  // Fastify waits for the promise of a plugin before it listens.
  return async function queryPlugin(app: FastifyInstance): Promise<void> {
    if (token !== undefined && token !== '') app.addHook('onRequest', requireToken(token))
    app.addHook('onRequest', refuseForOthers(streams))

    app.get('/routing', () => streams.assignment ?? { members: [] })

    app.get<Answered>('/queries/:name', async ({ params, query }, reply) => {
      const asked = Object.hasOwn(queries, params.name) ? queries[params.name] : undefined
      if (asked === undefined) return fail(reply, { code: 'BAD_REQUEST', message: `no query '${params.name}'` })
      return told(reply, () => answer(streams, asked, parseRequest(query), utf8Bytes))
    })

    app.get<Answered>('/stores/:name/:read', async ({ params, query }, reply) =>
      told(reply, () => {
        const { query: asked, keyBytes } = storeRead(streams.topology, params.name, params.read)
        return answer(streams, asked, parseRequest(query), keyBytes)
      }),
    )
  }
}

/** Sends the answer in the same breath in which it was made: its source speaks of this moment. */
async function told(reply: FastifyReply, ask: () => Promise<unknown>): Promise<FastifyReply> {
  try {
    return reply.send(await ask())
  } catch (error) {
    if (error instanceof QueryRefusal) return fail(reply, error.failure)
    if (error instanceof QueryError) return fail(reply, { code: 'BAD_REQUEST', message: error.message })
    throw error
  }
}

function fail(reply: FastifyReply, failure: QueryFailure): FastifyReply {
  return reply.code(FAILURES[failure.code]).send(failure)
}

/** Says nothing of the assignment: it means nothing to who looks for another application. */
function refuseForOthers(streams: QueryableStreams) {
  return async ({ headers }: FastifyRequest, reply: FastifyReply) => {
    const meant = headers[TARGET_HEADER]
    if (meant === undefined || meant === `${streams.applicationId}/${streams.instanceId}`) return undefined
    return fail(reply, { code: 'NOT_MINE', message: `this is not ${String(meant)}` })
  }
}

function requireToken(token: string) {
  const wanted = Buffer.from(`Bearer ${token}`)
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const given = Buffer.from(request.headers.authorization ?? '')
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return undefined
    return fail(reply, { code: 'UNAUTHORIZED', message: 'a token is needed' })
  }
}
