import type { EngineEntry, EngineReads, EngineSnapshot, EngineWrite } from '../state/engine.js'
import { overlaid, type StoreRange, type StoreScan } from '../state/overlay.js'
import { storePrefix, storeRange } from '../state/store-keys.js'

/**
 * `committed`: what is committed to Kafka, all reads of one moment. `latest`: also what was processed since; each read
 * shows the moment at which it is made, and what it shows may be rolled back.
 */
export type Isolation = 'committed' | 'latest'

/** How far a task is in time. */
export interface TaskTimes {
  readonly streamTimeMs: number
  readonly closingClockMs: number
}

/** The bytes of a task's stores, as a view shows them. Keys are store keys (store-keys.ts). */
export interface TaskReads {
  readonly isolation: Isolation
  readonly times: TaskTimes
  get(store: string, key: Buffer): Buffer | undefined
  /** Reads a part of a store: what has changed is looked through once, however many scans are made within it. */
  part(store: string, range: StoreRange): (scan: StoreScan) => AsyncIterable<EngineEntry>
  close(): Promise<void>
}

/** What is committed at one moment; `unpersisted` is not in the engine yet: changes per store, keys as in the store. */
export interface CommittedMoment extends TaskTimes {
  readonly unpersisted: ReadonlyMap<string, readonly EngineWrite[]>
}

/** One moment for all reads, that of the first one: commits that come meanwhile are not seen. */
export class CommittedReads implements TaskReads {
  readonly isolation = 'committed'
  #now: { moment: CommittedMoment; snapshot: EngineSnapshot; overlays: Map<string, Overlay> } | undefined

  constructor(
    private readonly engine: { snapshot(): EngineSnapshot },
    private readonly committed: () => CommittedMoment,
  ) {}

  get times(): TaskTimes {
    return this.#current.moment
  }

  get(store: string, key: Buffer): Buffer | undefined {
    const over = this.#overlay(store)
    const written = over === undefined ? undefined : over.byKey.get(key.toString('latin1'))
    return written === undefined ? getFrom(this.#current.snapshot, store, key) : written.value
  }

  part(store: string): (scan: StoreScan) => AsyncIterable<EngineEntry> {
    const base = (scan: StoreScan) => scanOf(this.#current.snapshot, store, scan)
    const over = this.#overlay(store)
    return over === undefined ? base : (scan) => overlaid(base, over.sorted, scan)
  }

  async close(): Promise<void> {
    await this.#now?.snapshot.close()
    this.#now = undefined
  }

  get #current() {
    this.#now ??= { moment: this.committed(), snapshot: this.engine.snapshot(), overlays: new Map() }
    return this.#now
  }

  #overlay(store: string): Overlay | undefined {
    const { moment, overlays } = this.#current
    const writes = moment.unpersisted.get(store)
    if (writes === undefined || writes.length === 0) return undefined
    let overlay = overlays.get(store)
    if (overlay === undefined) {
      overlay = { byKey: new Map(writes.map((write) => [write.key.toString('latin1'), write])), sorted: sorted(writes) }
      overlays.set(store, overlay)
    }
    return overlay
  }
}

interface Overlay {
  readonly byKey: ReadonlyMap<string, EngineWrite>
  readonly sorted: readonly EngineWrite[]
}

/** A store of a running task: the objects that its engine does not have as they are now. */
export interface LiveStore {
  /** The pinned object of a key; encoded when `value` is asked for. */
  pinned(key: Buffer): EngineWrite | undefined
  /** All of them, in no order. */
  allPinned(): EngineWrite[]
}

/** Reads what is there when it is asked, as processing does: live objects first, then the engine. */
export class LatestReads implements TaskReads {
  readonly isolation = 'latest'

  constructor(
    private readonly engine: EngineReads,
    readonly times: TaskTimes,
    private readonly stores: ReadonlyMap<string, LiveStore>,
  ) {}

  get(store: string, key: Buffer): Buffer | undefined {
    const live = this.stores.get(store)?.pinned(key)
    return live === undefined ? getFrom(this.engine, store, key) : live.value
  }

  part(store: string, range: StoreRange): (scan: StoreScan) => AsyncIterable<EngineEntry> {
    const all = this.stores.get(store)?.allPinned() ?? []
    const over = sorted(all.filter(({ key }) => isWithin(key, range)))
    return (scan) => overlaid((scan) => scanOf(this.engine, store, scan), over, scan)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function getFrom(reads: EngineReads, store: string, key: Buffer): Buffer | undefined {
  return reads.get(Buffer.concat([storePrefix(store), key]))
}

async function* scanOf(
  reads: EngineReads,
  store: string,
  { from, to, ...how }: StoreScan,
): AsyncGenerator<EngineEntry> {
  const prefix = storePrefix(store)
  const range = {
    from: Buffer.concat([prefix, from]),
    to: to === undefined ? storeRange(store).to : Buffer.concat([prefix, to]),
  }
  for await (const [key, value] of reads.entries({ ...range, ...how })) yield [key.subarray(prefix.length), value]
}

function isWithin(key: Buffer, { from, to }: StoreRange): boolean {
  return key.compare(from) >= 0 && (to === undefined || key.compare(to) < 0)
}

function sorted(writes: readonly EngineWrite[]): EngineWrite[] {
  return [...writes].sort((a, b) => a.key.compare(b.key))
}
