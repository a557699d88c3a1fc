import { messageOf } from '../errors.js'
import type { KafkaLog } from '../kafka/config.js'
import { pause } from '../kafka/retry.js'
import type { AssignmentMap } from '../membership/group-metadata.js'
import { learn, learnGeneration, NOTHING_KNOWN, type GroupReading, type KnownRouting } from '../membership/routing.js'

/** An instance that may answer for a task. */
export interface Candidate {
  readonly instance: string
  readonly endpoint: string
}

export type Route =
  | { readonly kind: 'task'; readonly partition: number; readonly candidates: readonly Candidate[] }
  /** Nothing is known of the application yet, or nobody runs it. */
  | { readonly kind: 'unknown' }
  /** It has no such store. */
  | { readonly kind: 'no-store' }

export interface RoutingTableOptions {
  /** Asks the group's coordinator. */
  read(): Promise<GroupReading>
  /** However many ask, the group is read at most this often. */
  minIntervalMs: number
  /** Another map has taken the place of the one before. */
  onChange(): void
  log: KafkaLog
}

/** Who has which task, as last read from the group. Kept while the group is between two assignments. */
export class RoutingTable {
  readonly #options: RoutingTableOptions
  readonly #closing = new AbortController()
  #known: KnownRouting = NOTHING_KNOWN
  #refreshing: Promise<void> | undefined
  #lastReadAtMs = Number.NEGATIVE_INFINITY
  #failing = false

  constructor(options: RoutingTableOptions) {
    this.#options = options
  }

  get map(): AssignmentMap | undefined {
    return this.#known.map
  }

  /** An older answer than this must not be believed. */
  get generation(): number {
    return this.#known.generation
  }

  /** An instance told its generation: one that is newer than the map makes the map be read again. */
  saw(generation: number): void {
    this.#known = learnGeneration(this.#known, generation)
    if (generation > (this.#known.map?.generation ?? -1)) void this.refresh()
  }

  /**
   * Who is to be asked, in this order: the active, the standbys, those that are still warming up.
   * @param partitionOf of so many partitions, the one that is asked about
   */
  route(store: string, partitionOf: (partitions: number) => number): Route {
    const { map } = this.#known
    if (map === undefined) return { kind: 'unknown' }
    const sub = subTopologyWith(map, store)
    if (sub === undefined) return { kind: 'no-store' }
    const partition = partitionOf(sub.partitions)
    return { kind: 'task', partition, candidates: candidatesOf(map, `${sub.id}_${partition}`) }
  }

  /** Of the tasks that have a store; undefined when nothing is known of it. */
  partitionsOf(store: string): number | undefined {
    return this.#known.map && subTopologyWith(this.#known.map, store)?.partitions
  }

  /** Reads the table from the group; all who ask meanwhile share one read. Never rejects: what was known stays. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  close(): void {
    this.#closing.abort()
  }

  async #refresh(): Promise<void> {
    const { read, minIntervalMs, log } = this.#options
    const waitMs = this.#lastReadAtMs + minIntervalMs - performance.now()
    if (waitMs > 0) await pause(waitMs, this.#closing.signal)
    if (this.#closing.signal.aborted) return
    this.#lastReadAtMs = performance.now()
    try {
      this.#learn(learn(this.#known, await read()))
      this.#failing = false
    } catch (error) {
      if (!this.#failing && !this.#closing.signal.aborted) {
        log.warn({ reason: messageOf(error) }, 'cannot read who has which task')
      }
      this.#failing = true
    }
  }

  #learn(known: KnownRouting): void {
    const isOther = known.map?.epoch !== this.#known.map?.epoch
    this.#known = known
    if (isOther) this.#options.onChange()
  }
}

function subTopologyWith({ subTopologies }: AssignmentMap, store: string) {
  return subTopologies.find(({ stores }) => stores.includes(store))
}

function candidatesOf({ members }: AssignmentMap, task: string): Candidate[] {
  const having = (tasks: (member: AssignmentMap['members'][number]) => readonly string[]) =>
    members.filter((member) => tasks(member).includes(task))
  const ordered = [
    ...having(({ active }) => active),
    ...having(({ standby, warmup }) => standby.filter((one) => !warmup.includes(one))),
    ...having(({ warmup }) => warmup),
  ]
  return ordered.flatMap(({ instance, endpoint }) => (endpoint === null ? [] : [{ instance, endpoint }]))
}
