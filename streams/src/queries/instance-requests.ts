import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { TARGET_HEADER, type QueryFailure, type QuerySource, type TaskAnswer } from './protocol.js'
import type { Candidate } from './routing-table.js'

/** What an instance says when it is asked about a task. */
export type Reply =
  | { readonly kind: 'answer'; readonly result: unknown; readonly source: QuerySource }
  | { readonly kind: 'not-found'; readonly source: QuerySource }
  | { readonly kind: 'bad-request'; readonly message: string }
  /** It has not got the task, or not yet. */
  | { readonly kind: 'not-mine'; readonly generation: number }
  | { readonly kind: 'too-stale'; readonly source: QuerySource }
  | { readonly kind: 'unauthorized' }
  /** Dead, gone, frozen, overloaded, or not one of ours: no answer that could be used. */
  | { readonly kind: 'no-answer'; readonly reason: string }

/** Connections to one instance; requests above that wait for one, within their own time. */
const MAX_CONNECTIONS = 64
/** Requests to one instance that may wait or be under way: what is more is not sent, as if it did not answer. */
const MAX_REQUESTS = 1_024
/** More than any page holds (store-reads.ts), encoded. */
const MAX_ANSWER_BYTES = 32 << 20

type Headers = Readonly<Record<string, string>>

/** GET requests to instances over connections that are kept. */
export class InstanceRequests {
  readonly #headers: Headers
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: MAX_CONNECTIONS })
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: MAX_CONNECTIONS })
  readonly #underWay = new Map<string, number>()

  constructor(
    private readonly applicationId: string,
    token: string | undefined,
  ) {
    this.#headers = token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` }
  }

  /**
   * Asks one instance. Never rejects.
   * @param path with its query string
   */
  async ask({ endpoint, instance }: Candidate, path: string, signal: AbortSignal): Promise<Reply> {
    const underWay = this.#underWay.get(endpoint) ?? 0
    if (underWay >= MAX_REQUESTS) return { kind: 'no-answer', reason: 'too many requests wait for it' }
    this.#underWay.set(endpoint, underWay + 1)
    try {
      const headers = { ...this.#headers, [TARGET_HEADER]: `${this.applicationId}/${instance}` }
      const { status, body } = await this.#get(new URL(path, endpoint), headers, signal)
      const reply = replyOf(status, JSON.parse(body))
      const isAnother = 'source' in reply && reply.source.instance !== instance
      return isAnother ? { kind: 'no-answer', reason: `${reply.source.instance} answers there` } : reply
    } catch (error) {
      return { kind: 'no-answer', reason: error instanceof Error ? error.message : String(error) }
    } finally {
      const left = this.#underWay.get(endpoint)! - 1
      if (left === 0) this.#underWay.delete(endpoint)
      else this.#underWay.set(endpoint, left)
    }
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  async #get(url: URL, headers: Headers, signal: AbortSignal): Promise<{ status: number; body: string }> {
    try {
      return await this.#getOnce(url, headers, signal)
    } catch (error) {
      // Its server closed the idle connection while we took it up again.
      if (error instanceof ReusedConnectionError) return this.#getOnce(url, headers, signal)
      throw error
    }
  }

  #getOnce(url: URL, headers: Headers, signal: AbortSignal): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { headers, signal }
      const request =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, agent: this.#https })
          : httpRequest(url, { ...options, agent: this.#http })
      request.on('error', (error: NodeJS.ErrnoException) => {
        reject(request.reusedSocket && error.code === 'ECONNRESET' ? new ReusedConnectionError() : error)
      })
      request.on('response', (response) => {
        readAll(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
      })
      request.end()
    })
  }
}

class ReusedConnectionError extends Error {}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response) {
    sizeBytes += (chunk as Buffer).length
    // Leaving the loop destroys the connection.
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** @throws when it is no answer of ours */
export function replyOf(status: number, body: unknown): Reply {
  if (typeof body !== 'object' || body === null) throw new Error(`it answered ${status} without an object`)
  if (status === 200) {
    const { result, source } = body as TaskAnswer<unknown>
    return { kind: 'answer', result, source: checked(source) }
  }
  const { code, message, generation, source } = body as QueryFailure
  switch (code) {
    case 'BAD_REQUEST':
      return { kind: 'bad-request', message: String(message) }
    case 'UNAUTHORIZED':
      return { kind: 'unauthorized' }
    case 'NOT_FOUND':
      return { kind: 'not-found', source: checked(source) }
    case 'TOO_STALE':
      return { kind: 'too-stale', source: checked(source) }
    case 'NOT_MINE':
    case 'NOT_READY':
      return { kind: 'not-mine', generation: Number.isSafeInteger(generation) ? generation! : -1 }
    default:
      throw new Error(`it answered ${status}`)
  }
}

function checked(source: QuerySource | undefined): QuerySource {
  const isOurs =
    typeof source?.instance === 'string' &&
    (source.role === 'active' || source.role === 'standby') &&
    Number.isFinite(source.staleMs) &&
    Number.isSafeInteger(source.generation)
  if (!isOurs) throw new Error('its answer does not say who answered')
  return source
}
