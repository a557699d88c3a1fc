import type { ConnectionError, FastifyError, FastifyInstance, FastifyReply } from 'fastify'
import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Parsed } from './parameters.js'

/** What can go wrong, as clients see it: RFC 9457 problem details, told apart by `type`. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
}

const PROBLEMS = {
  'bad-parameter': { status: 400, title: 'Bad parameter' },
  'forbidden-origin': { status: 403, title: 'Origin not allowed' },
  'unknown-symbol': { status: 404, title: 'Unknown symbol' },
  'no-such-path': { status: 404, title: 'No such path' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'upgrade-required': { status: 426, title: 'WebSocket only' },
  'processors-refuse': { status: 502, title: 'The processors refuse this API' },
  'no-owner': { status: 503, title: 'No processor answers for this just now' },
  'too-stale': { status: 503, title: 'Only older state answers just now' },
  'history-away': { status: 503, title: 'History is away' },
  'too-many-connections': { status: 503, title: 'Too many connections' },
} as const
export type ProblemKind = keyof typeof PROBLEMS

/** Seconds after which asking again is sensible: a rebalance or a failover is over by then more often than not. */
const RETRY_AFTER_S = 1

/** Thrown by a route; answered as application/problem+json. The `detail` is for people and holds no secret. */
export class ProblemError extends Error {
  readonly statusCode: number
  constructor(
    readonly kind: ProblemKind,
    readonly detail: string,
    options?: { cause?: unknown },
  ) {
    super(detail, options)
    this.name = 'ProblemError'
    this.statusCode = PROBLEMS[kind].status
  }
}

export function sendProblem(reply: FastifyReply, kind: ProblemKind, detail: string): FastifyReply {
  const { status, title } = PROBLEMS[kind]
  if (status === 503) reply.header('retry-after', RETRY_AFTER_S)
  return send(reply, { type: `urn:candlewick:problem:${kind}`, title, status, detail })
}

function send(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .header('cache-control', 'no-store')
    .serializer(JSON.stringify)
    .send(problem)
}

/** Says what is wrong with a parameter in the words of somebody who has to mend it. */
export function validationReason(
  error: Pick<FastifySchemaValidationError, 'keyword' | 'instancePath' | 'params' | 'message'>,
): string {
  const name = error.instancePath.replace(/^\//, '').replaceAll('/', '.')
  switch (error.keyword) {
    case 'enum':
      return `${name} must be one of ${(error.params['allowedValues'] as string[]).join(', ')}`
    case 'additionalProperties':
      return `there is no parameter ${JSON.stringify(error.params['additionalProperty'])} here`
    case 'required':
      return `${String(error.params['missingProperty'])} is missing`
    default:
      return `${name} ${error.message ?? 'is wrong'}`.trim()
  }
}

/** Makes every answer that is an error a problem: those of routes, of validation, of the router, and of our own bugs. */
export function addProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError | ProblemError, request, reply) => {
    if (error instanceof ProblemError) {
      if (error.cause !== undefined) request.log.debug({ err: error.cause, url: request.url }, error.message)
      return sendProblem(reply, error.kind, error.detail)
    }
    if (error.validation !== undefined) {
      return sendProblem(reply, 'bad-parameter', error.validation.map(validationReason).join('; '))
    }
    return sendUnexpected(error, reply)
  })
  app.setNotFoundHandler((request, reply) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply.header('allow', 'GET, HEAD')
      return sendProblem(reply, 'method-not-allowed', 'this API only reads: use GET')
    }
    return sendProblem(reply, 'no-such-path', 'see /docs for what there is')
  })
}

/** Errors of Fastify and of the router keep their status; ours are 500 and say nothing of the inside. */
export function sendUnexpected(error: FastifyError, reply: FastifyReply): FastifyReply {
  const status = error.statusCode !== undefined && error.statusCode >= 400 ? error.statusCode : 500
  if (status >= 500) reply.log.error({ err: error, url: reply.request.url }, 'a request failed')
  return send(reply, {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: status >= 500 ? 'this is a mistake of ours; the log of the API says more' : error.message,
  })
}

/** Bytes that are no HTTP request, or one too large or too slow: answered before there is a request. */
export function answerUnreadable(error: ConnectionError, socket: Socket): void {
  const status = UNREADABLE[error.code ?? ''] ?? 400
  const title = STATUS_CODES[status]!
  const body = JSON.stringify({ type: 'about:blank', title, status, detail: 'this is not a request that can be read' })
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const headers = `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${headers}\r\n\r\n${body}`)
}

/** Node.js's codes for what its parser refuses. */
const UNREADABLE: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/**
 * The value of a parameter.
 * @throws ProblemError bad-parameter with the reason
 */
export function given<T>(parsed: Parsed<T>): T {
  if (parsed.kind === 'bad') throw new ProblemError('bad-parameter', parsed.reason)
  return parsed.value
}
