import type { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { partitionFor } from '../kafka/partitioner.js'
import { readGroup, type GroupReading } from '../membership/routing.js'
import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import { askHedged } from './hedge.js'
import { InstanceRequests, type Reply } from './instance-requests.js'
import {
  gravest,
  isNoAnswer,
  noStore,
  outcomeOf,
  reasonOf,
  valueOf,
  type AllOutcome,
  type NoAnswer,
  type QueryOutcome,
} from './outcomes.js'
import { RemoteKeyValueView, RemoteWindowView } from './remote-views.js'
import { RoutingTable, type Candidate } from './routing-table.js'
import { SilentInstances } from './silent-instances.js'
import type { Isolation } from './task-reads.js'

/** Whom to ask, and how patiently. */
export interface QueryClientOptions {
  applicationId: string
  /**
   * Asks the group's coordinator who has what.
   * @internal
   */
  read(): Promise<GroupReading>
  /** The store whose task answers each of the application's own queries, by their names. */
  queries?: Readonly<Record<string, string>>
  token?: string
  /** For a query as a whole, however many instances are asked. Default 2 s. */
  timeoutMs?: number
  /** An instance that is silent for so long gets company. Default 300 ms. */
  hedgeAfterMs?: number
  /** How often the routing table is read again. Default 1 s. */
  refreshEveryMs?: number
  log: KafkaLog
}

/** What may stand with every question. */
export interface AskOptions {
  /** No answer that may be older than this. Default: any, and the source says how old. */
  maxStaleMs?: number
  /** Default `committed`; `latest` may show what is rolled back later. */
  isolation?: Isolation
}

/** A task, and who has it. */
export interface RoutedTask {
  readonly task: string
  readonly partition: number
  /** The instance that processes it; null while nobody does. */
  readonly active: string | null
  readonly standbys: readonly string[]
}

/** Who has what, as last read. */
export interface Routing {
  readonly applicationId: string
  /** Tells one assignment from another; undefined while none is known. */
  readonly epoch: string | undefined
  /** Of the group; -1 while none is known. */
  readonly generation: number
  readonly members: readonly {
    readonly instance: string
    readonly endpoint: string | null
    readonly tasks: readonly string[]
    /** Tasks whose state it keeps warm. */
    readonly standbys: readonly string[]
  }[]
  readonly tasks: readonly RoutedTask[]
}

/**
 * What is asked of one task.
 * @internal
 */
export interface TaskRequest {
  readonly store: string
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  /** The partition that is asked, of so many. */
  partitionOf(partitions: number): number
  readonly options: AskOptions
}

const NOT_WAITED_FOR = 'not waited for'
const REFRESH_AT_MOST_EVERY_MS = 200
/** Between two rounds, while the group cannot be read. */
const LONGEST_PAUSE_MS = 500

/**
 * Asks the instances of an application about its state: the active one first, its standbys when that stays silent or
 * refuses. It goes by the assignment of the group's leader, read once a second, and again at once when an instance says
 * that it is not the one, or is not there any more.
 */
export class QueryClient {
  readonly #options: QueryClientOptions
  readonly #table: RoutingTable
  readonly #requests: InstanceRequests
  readonly #silent = new SilentInstances()
  readonly #closing = new AbortController()
  /** Questions that are out. */
  readonly #rounds = new Set<AbortController>()
  #timer: NodeJS.Timeout | undefined
  #isRefused = false

  /** A client that reads the routing over a connection to Kafka, which it shares and does not close. */
  static of(client: KafkaClient, options: Omit<QueryClientOptions, 'read'>): QueryClient {
    return new QueryClient({ ...options, read: () => readGroup(client, options.applicationId) })
  }

  constructor(options: QueryClientOptions) {
    this.#options = options
    const { applicationId, read, log, token } = options
    this.#table = new RoutingTable({
      read,
      minIntervalMs: REFRESH_AT_MOST_EVERY_MS,
      log,
      // Another map may know of somebody who answers: whoever is silent is not waited for any longer.
      onChange: () => this.#endRounds(),
    })
    this.#requests = new InstanceRequests(applicationId, token)
  }

  /** Reads the table a first time; an application that does not run yet, or a Kafka that is away, is no error. */
  async start(): Promise<void> {
    await this.#table.refresh()
    if (this.#isClosed) return
    this.#timer = setInterval(() => void this.#table.refresh(), this.#options.refreshEveryMs ?? 1_000)
    this.#timer.unref()
  }

  /** Questions that are out end as if nobody had answered. The connection to Kafka stays. */
  close(): void {
    clearInterval(this.#timer)
    this.#closing.abort()
    this.#table.close()
    this.#endRounds()
    this.#requests.close()
  }

  /** Who has what, as last read: nothing is asked. */
  routing(): Routing {
    const { applicationId } = this.#options
    const { map } = this.#table
    if (map === undefined) return { applicationId, epoch: undefined, generation: -1, members: [], tasks: [] }
    const { epoch, generation, subTopologies } = map
    const members = map.members.map(({ instance, endpoint, active, standby }) => {
      return { instance, endpoint, tasks: active, standbys: standby }
    })
    const tasks = subTopologies.flatMap(({ id, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => {
        const task = `${id}_${partition}`
        const active = members.find((member) => member.tasks.includes(task))?.instance ?? null
        const standbys = members.filter((member) => member.standbys.includes(task)).map(({ instance }) => instance)
        return { task, partition, active, standbys }
      }),
    )
    return { applicationId, epoch, generation, members, tasks }
  }

  /**
   * Asks a query of the application about one key. Never rejects for what happens in a running system.
   * @param key a text; its UTF-8 bytes are the key of the records
   */
  query<T>(
    name: string,
    key: string,
    { params = {}, ...options }: AskOptions & { params?: Readonly<Record<string, string>> } = {},
  ): Promise<QueryOutcome<T>> {
    const bytes = Buffer.from(key, 'utf8')
    return this.ask<T>({
      store: this.#storeOf(name),
      path: `/queries/${encodeURIComponent(name)}`,
      params: { ...params, key },
      partitionOf: (partitions) => partitionFor(bytes, partitions),
      options,
    })
  }

  /** Asks a query of the application about every partition. */
  queryAll<T>(
    name: string,
    { params = {}, ...options }: AskOptions & { params?: Readonly<Record<string, string>> } = {},
  ): Promise<AllOutcome<T>> {
    return this.askAll<T>({ store: this.#storeOf(name), path: `/queries/${encodeURIComponent(name)}`, params, options })
  }

  /** A key-value store of the application, wherever its parts are. */
  keyValue<K, V>(spec: KeyValueStoreSpec<K, V>): RemoteKeyValueView<K, V> {
    return new RemoteKeyValueView(this, spec)
  }

  /** A window store of the application, wherever its parts are. */
  window<K, V>(spec: WindowStoreSpec<K, V>): RemoteWindowView<K, V> {
    return new RemoteWindowView(this, spec)
  }

  /**
   * Asks all partitions at once.
   * @internal
   */
  async askAll<T>(request: Omit<TaskRequest, 'partitionOf'>): Promise<AllOutcome<T>> {
    if (this.#table.map === undefined) await this.#refreshed()
    const count = this.#table.partitionsOf(request.store)
    if (count === undefined) {
      const because: NoAnswer = this.#table.map === undefined ? { kind: 'no-owner' } : noStore(request.store)
      return { results: [], missingPartitions: [], because }
    }
    const outcomes = await Promise.all(
      Array.from({ length: count }, async (_, partition) => {
        const params = { ...request.params, partition: String(partition) }
        return { partition, outcome: await this.ask<T>({ ...request, params, partitionOf: () => partition }) }
      }),
    )
    const results = outcomes.flatMap(({ partition, outcome }) =>
      outcome.kind === 'ok' ? [{ result: outcome.result, partition, source: outcome.source }] : [],
    )
    const missing = outcomes.flatMap(({ partition, outcome }) => (isNoAnswer(outcome) ? [{ partition, outcome }] : []))
    const because = gravest(missing.map(({ outcome }) => outcome))
    return {
      results,
      missingPartitions: missing.map(({ partition }) => partition),
      ...(because !== undefined && { because }),
    }
  }

  /**
   * Asks whoever has the task, again and again within the time there is, until somebody answers or it makes no sense.
   * @internal
   */
  async ask<T>(request: TaskRequest): Promise<QueryOutcome<T>> {
    const untilMs = performance.now() + (this.#options.timeoutMs ?? 2_000)
    let outcome: NoAnswer = { kind: 'no-owner' }
    for (let round = 0; ; round++) {
      const route = this.#table.route(request.store, (count) => request.partitionOf(count))
      if (route.kind === 'no-store') return noStore(request.store)
      const candidates = route.kind === 'task' ? route.candidates : []
      // Nobody to ask, and the table is fresh: the caller knows better than we when to ask again.
      if (candidates.length === 0 && round > 0) return outcome
      const epoch = this.#table.map?.epoch
      const { best, refusals, isCut } = await this.#round(candidates, request, untilMs)
      if (best !== undefined) return outcomeOf<T>(best)
      // A later round that was cut short knows less than the one before.
      if (round === 0 || !isCut) outcome = reasonOf(refusals) ?? outcome
      if (outcome.kind === 'unauthorized') return outcome
      if (epoch === this.#table.map?.epoch) await this.#refreshed(untilMs)
      if (performance.now() >= untilMs || this.#isClosed) return outcome
    }
  }

  async #round(candidates: readonly Candidate[], { path, params, options }: TaskRequest, untilMs: number) {
    const { maxStaleMs, isolation } = options
    const text = new URLSearchParams({
      ...params,
      ...(maxStaleMs !== undefined && { maxStaleMs: String(Math.max(0, Math.floor(maxStaleMs))) }),
      ...(isolation !== undefined && { isolation }),
    }).toString()
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), untilMs - performance.now())
    this.#rounds.add(over)
    try {
      const result = await askHedged<Candidate, Reply>({
        candidates,
        ask: async (candidate, signal) =>
          this.#judge(candidate, await this.#send(candidate, `${path}?${text}`, signal)),
        patienceMs: ({ endpoint }) => (this.#silent.has(endpoint) ? 0 : (this.#options.hedgeAfterMs ?? 300)),
        valueOf,
        signal: over.signal,
      })
      // Only who was silent while another answered: else it may be our own connection.
      if (result.best !== undefined) for (const { endpoint } of result.silent) this.#silent.add(endpoint)
      return { ...result, isCut: over.signal.aborted }
    } finally {
      clearTimeout(timer)
      this.#rounds.delete(over)
    }
  }

  async #send(candidate: Candidate, path: string, signal: AbortSignal): Promise<Reply> {
    const reply = await this.#requests.ask(candidate, path, signal)
    return signal.aborted ? { kind: 'no-answer', reason: NOT_WAITED_FOR } : reply
  }

  /** Takes what a reply tells of the assignment, and makes nothing of an answer that speaks of an older one. */
  #judge({ endpoint }: Candidate, reply: Reply): Reply {
    if (reply.kind === 'no-answer') {
      // While the table is read again others are asked.
      if (reply.reason !== NOT_WAITED_FOR) void this.#table.refresh()
      return reply
    }
    this.#silent.delete(endpoint)
    if (reply.kind === 'unauthorized') this.#refused()
    else if (reply.kind !== 'bad-request') this.#isRefused = false
    if (reply.kind === 'not-mine') {
      this.#table.saw(reply.generation)
      void this.#table.refresh()
    }
    if (!('source' in reply)) return reply
    if (reply.source.generation < this.#table.generation) return { kind: 'no-answer', reason: 'an older generation' }
    this.#table.saw(reply.source.generation)
    return reply
  }

  /** A line in the log, not one for each query. */
  #refused(): void {
    if (!this.#isRefused) {
      this.#options.log.error({}, 'the instances refuse our token: queries are not answered until both have the same')
    }
    this.#isRefused = true
  }

  /** Waits for a fresh table, but not for a Kafka that is away. */
  async #refreshed(untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    const mostMs = Math.min(LONGEST_PAUSE_MS, untilMs - performance.now())
    if (mostMs <= 0) return
    let timer: NodeJS.Timeout | undefined
    await Promise.race([this.#table.refresh(), new Promise((resolve) => (timer = setTimeout(resolve, mostMs)))])
    clearTimeout(timer)
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #endRounds(): void {
    for (const round of [...this.#rounds]) round.abort()
  }

  #storeOf(name: string): string {
    const store = this.#options.queries?.[name]
    if (store === undefined) throw new TypeError(`the query '${name}' is not among the client's queries`)
    return store
  }
}
