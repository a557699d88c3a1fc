import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AssignmentMap } from '../../membership/group-metadata.js'
import { FAILURES, type QueryFailure, type QuerySource } from '../protocol.js'

/** How an instance meets a request; `frozen` takes it and never answers. */
export type Behaviour = (request: URL, response: ServerResponse, message: IncomingMessage) => void

/** An instance at a port of its own that behaves as the test says. */
export class FakeInstance {
  readonly asked: string[] = []
  readonly connections = new Set<unknown>()
  /** Requests that the caller did not wait for. */
  aborted = 0
  readonly #server: Server
  endpoint = ''

  constructor(
    readonly name: string,
    public behave: Behaviour,
  ) {
    this.#server = createServer((message, response) => {
      const url = new URL(message.url!, 'http://instance')
      this.asked.push(`${url.pathname}${url.search}`)
      response.on('close', () => {
        if (!response.writableEnded) this.aborted++
      })
      this.behave(url, response, message)
    })
    this.#server.on('connection', (socket) => this.connections.add(socket))
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.endpoint = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  /** As after kill -9: connections are cut, new ones refused. */
  async die(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

export const frozen: Behaviour = () => undefined

export const sourceOf = (instance: string, more: Partial<QuerySource> = {}): QuerySource => {
  return { instance, role: 'active', staleMs: 0, generation: 5, ...more }
}

export const answers =
  (result: unknown, source: QuerySource): Behaviour =>
  (_, response) =>
    response.end(JSON.stringify({ result, partition: 0, source }))

export const fails =
  (failure: QueryFailure): Behaviour =>
  (_, response) =>
    response.writeHead(FAILURES[failure.code]).end(JSON.stringify(failure))

/** One task, 0_0, with the store `sums`; the first of the instances has it, the others stand by. */
export function mapOf(
  instances: readonly FakeInstance[],
  options: { generation?: number; partitions?: number; warmup?: readonly string[] } = {},
): AssignmentMap {
  const { generation = 5, partitions = 1, warmup = [] } = options
  const tasks = Array.from({ length: partitions }, (_, partition) => `0_${partition}`)
  return {
    v: 2,
    epoch: `epoch ${generation}`,
    generation,
    subTopologies: [{ id: 0, partitions, sourceTopics: ['in'], stores: ['sums', 'minutes'] }],
    members: instances.map(({ name, endpoint }, at) => ({
      memberId: `${name}-1`,
      instance: name,
      endpoint,
      transactionalId: name,
      active: at === 0 ? tasks : [],
      standby: at === 0 ? [] : tasks,
      warmup: warmup.includes(name) ? tasks : [],
    })),
    rejected: [],
    strangers: [],
  }
}
