import { messageOf } from '../errors.js'
import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { partitionFor } from '../kafka/partitioner.js'
import type { AssignmentMap } from '../membership/group-metadata.js'
import { readAssignmentMap } from '../membership/routing.js'
import type { QueryAllAnswer, QueryAnswer, QueryFailure, QuerySource } from './protocol.js'

export interface QueryClientOptions {
  applicationId: string
  /** The input topic whose partitions decide which task has a key. */
  topic: string
  token?: string
  /** For one request to an instance. Default 2 s. */
  timeoutMs?: number
  /** How often the routing table is read again. Default 1 s. */
  refreshEveryMs?: number
  log: KafkaLog
}

export interface RoutedMember {
  readonly instance: string
  readonly endpoint: string | null
  readonly tasks: readonly string[]
}

export interface RoutingTable {
  readonly applicationId: string
  /** Tells one assignment from another; undefined before the first was read. */
  readonly epoch: string | undefined
  readonly members: readonly RoutedMember[]
  /** Instance by partition; null while nobody has it. */
  readonly partitions: readonly (string | null)[]
}

export type QueryOutcome<T> =
  | { readonly kind: 'ok'; readonly result: T; readonly source: QuerySource }
  | { readonly kind: 'not-found'; readonly source: QuerySource | undefined }
  | { readonly kind: 'bad-request'; readonly message: string }
  /** Nobody answers for this key right now: its task is between two owners. Ask again. */
  | { readonly kind: 'no-owner' }

/**
 * Asks the instance that has a key, as the group's leader assigned it. The table is read from the group once a second,
 * and again at once when an instance says it no longer has the key.
 */
export class QueryClient {
  readonly #client: KafkaClient
  readonly #options: QueryClientOptions
  #map: AssignmentMap | undefined
  #timer: NodeJS.Timeout | undefined
  #refreshing: Promise<void> | undefined
  #failing = false

  constructor(client: KafkaClient, options: QueryClientOptions) {
    this.#client = client
    this.#options = options
  }

  /** Reads the table a first time; an application that does not run yet is no error. */
  async start(): Promise<void> {
    await this.#client.watchTopics([this.#options.topic])
    await this.refresh()
    this.#timer = setInterval(() => void this.refresh(), this.#options.refreshEveryMs ?? 1_000)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  routing(): RoutingTable {
    const members = this.#map?.members ?? []
    const owners = Array.from({ length: this.#client.partitionCount(this.#options.topic) }, () => null as string | null)
    for (const { instance, active } of members) for (const task of active) owners[partitionOf(task)] = instance
    return {
      applicationId: this.#options.applicationId,
      epoch: this.#map?.epoch,
      members: members.map(({ instance, endpoint, active }) => ({ instance, endpoint, tasks: active })),
      partitions: owners,
    }
  }

  /** Asks about one key. Never throws for what happens in a running system: see QueryOutcome. */
  async query<T>(name: string, key: string, params: Readonly<Record<string, string>> = {}): Promise<QueryOutcome<T>> {
    const first = await this.#ask<T>(name, key, params)
    if (first.kind !== 'no-owner') return first
    await this.refresh()
    return this.#ask<T>(name, key, params)
  }

  /** Asks every instance about all its keys; partitions nobody answered for are named. */
  async queryAll<T>(
    name: string,
    params: Readonly<Record<string, string>> = {},
  ): Promise<{ results: { result: T; source: QuerySource }[]; missingPartitions: number[] }> {
    const answers = await Promise.all(
      (this.#map?.members ?? []).map(async ({ endpoint }) => {
        if (endpoint === null) return []
        const { status, body } = await this.#get(endpoint, name, params)
        return status === 200 ? (body as QueryAllAnswer<T>).results : []
      }),
    )
    const results = new Map<number, { result: T; source: QuerySource }>()
    for (const one of answers.flat()) {
      const known = results.get(one.partition)
      if (known === undefined || rank(one.source) > rank(known.source)) results.set(one.partition, one)
    }
    const partitions = this.#client.partitionCount(this.#options.topic)
    const missingPartitions = Array.from({ length: partitions }, (_, at) => at).filter((at) => !results.has(at))
    return { results: [...results.values()], missingPartitions }
  }

  /** Reads the table from the group; several callers share one read. Keeps the old one when the group is in between. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    try {
      this.#map = (await readAssignmentMap(this.#client, this.#options.applicationId)) ?? this.#map
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#options.log.warn({ reason: messageOf(error) }, 'cannot read who has which partition')
      this.#failing = true
    }
  }

  async #ask<T>(name: string, key: string, params: Readonly<Record<string, string>>): Promise<QueryOutcome<T>> {
    const partition = partitionFor(Buffer.from(key, 'utf8'), this.#client.partitionCount(this.#options.topic))
    const owner = this.#map?.members.find(({ active }) => active.some((task) => partitionOf(task) === partition))
    if (owner?.endpoint == null) return { kind: 'no-owner' }
    const { status, body } = await this.#get(owner.endpoint, name, { ...params, key })
    if (status === 200) return { kind: 'ok', ...(body as QueryAnswer<T>) }
    const failure = body as QueryFailure | undefined
    if (status === 404) return { kind: 'not-found', source: failure?.source }
    if (status === 400) return { kind: 'bad-request', message: failure?.message ?? 'refused' }
    return { kind: 'no-owner' }
  }

  /** @returns status 0 when the instance did not answer */
  async #get(
    endpoint: string,
    name: string,
    params: Readonly<Record<string, string>>,
  ): Promise<{ status: number; body?: unknown }> {
    const { token, timeoutMs = 2_000 } = this.#options
    const url = new URL(`/queries/${encodeURIComponent(name)}?${new URLSearchParams(params).toString()}`, endpoint)
    try {
      const response = await fetch(url, {
        signal: AbortSignal.timeout(timeoutMs),
        headers: token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` },
      })
      return { status: response.status, body: await response.json() }
    } catch {
      // Dead, frozen or gone: the same to the caller, who asks again.
      return { status: 0 }
    }
  }
}

function partitionOf(taskId: string): number {
  return Number(taskId.split('_')[1])
}

/** Actives before standbys, newer generations before older ones. */
function rank({ role, generation }: QuerySource): number {
  return generation * 2 + (role === 'active' ? 1 : 0)
}
