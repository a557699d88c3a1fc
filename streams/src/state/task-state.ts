import { firstKey, type EngineFactory, type EngineWrite } from './engine.js'
import { newest, type Progress } from './progress.js'
import { ALL_KEYS, META_KEY, storePrefix } from './store-keys.js'
import { TaskEngine } from './task-engine.js'
import { decodeTaskMeta, encodeTaskMeta, STATE_FORMAT, type ChangelogPosition, type TaskMeta } from './task-meta.js'

/** Unsynced batches are lost only with the machine; this bounds how much of the changelog is replayed then. */
const SYNC_EVERY_MS = 10_000

/** What a commit changed. */
export interface Persisted {
  /** Changes per store, keys as in the changelog. */
  changes: ReadonlyMap<string, readonly EngineWrite[]>
  /** Per store: the engine now holds every change before this offset of its changelog. */
  positions: ReadonlyMap<string, number>
  progress: Progress
}

/** A piece of a changelog. */
export interface Replayed {
  store: string
  changes: readonly EngineWrite[]
  /** The engine now holds every change before this offset. */
  position: number
  /** Which input the last change belongs to; null when it does not tell, undefined when nothing was changed. */
  progress: Progress | null | undefined
}

/** The durable side of a task: its engine and what the engine knows about itself. It is behind Kafka or even, never ahead. */
export class TaskState {
  readonly engine: TaskEngine
  #meta: TaskMeta
  #found = false
  #dropped: string | undefined
  #syncedAtMs = Number.NEGATIVE_INFINITY
  #broken = false

  constructor(
    readonly taskId: string,
    private readonly directory: string,
    private readonly bootId: string,
    makeEngine: EngineFactory,
  ) {
    this.engine = new TaskEngine(taskId, directory, makeEngine)
    this.#meta = this.#empty()
  }

  get meta(): TaskMeta {
    return this.#meta
  }

  /** Whether there was state when it was opened. */
  get found(): boolean {
    return this.#found
  }

  /** What the engine holds is unknown until it was opened again: a write failed, or damage was met. */
  get broken(): boolean {
    return this.#broken || this.engine.damage !== undefined
  }

  /** Why the state that lay here was dropped when it was opened last, in words; undefined when it was not. */
  get dropped(): string | undefined {
    return this.#dropped
  }

  /** @throws StreamsError STATE when the directory cannot be used, or was written by a newer version */
  async open(): Promise<void> {
    await this.#read(await this.engine.open())
  }

  /** After a failed write, or damage: closes the engine and opens it again, to see what it really holds. As open(). */
  async reopen(): Promise<void> {
    const { damage } = this.engine
    if (damage === undefined) return this.#read(await this.engine.reopen())
    await this.rebuild()
    this.#dropped = damage
  }

  /** Forgets everything: the state is to be rebuilt from the changelogs. @throws StreamsError STATE */
  async rebuild(): Promise<void> {
    await this.engine.destroy()
    this.#meta = this.#empty()
    this.#found = false
    this.#broken = false
  }

  /** Takes over what the engine says of itself. */
  async #read(dropped: string | undefined): Promise<void> {
    const found = await this.#findMeta()
    const why = typeof found === 'string' ? found : undefined
    if (why !== undefined) await this.engine.destroy()
    const meta = typeof found === 'object' ? found : this.#empty()
    const trusted = meta.cleanClose || meta.bootId === this.bootId
    const changelogs = trusted ? meta.changelogs : mapValues(meta.changelogs, backToSynced)
    this.#dropped = dropped ?? why
    this.#found = typeof found === 'object'
    this.#meta = { ...meta, changelogs }
    this.#broken = false
  }

  /** @returns undefined where there is no state yet; a text where it cannot be used: why */
  async #findMeta(): Promise<TaskMeta | string | undefined> {
    try {
      const bytes = this.engine.get(META_KEY)
      if (bytes !== undefined) return decodeTaskMeta(bytes, this.taskId, this.directory)
      return (await firstKey(this.engine, ALL_KEYS)) === undefined ? undefined : 'it does not say how far it is'
    } catch (error) {
      if (this.engine.damage !== undefined) return this.engine.damage
      await this.engine.close()
      throw error
    }
  }

  /** Position in the changelog of a store; undefined when nothing is known of it. */
  changelog(store: string): ChangelogPosition | undefined {
    return Object.hasOwn(this.#meta.changelogs, store) ? this.#meta.changelogs[store] : undefined
  }

  /** From now on the store's changelog is the topic of this id, and nothing of it is held. */
  begin(store: string, topicId: string, position: number): void {
    const changelogs = { ...this.#meta.changelogs, [store]: { topicId, position, syncedPosition: position } }
    this.#meta = { ...this.#meta, changelogs, persistedAtMs: Date.now() }
  }

  /** Which input the state belongs to, once it is complete; undefined when that is not known. */
  get progress(): Progress | undefined {
    const { inputs, clock, changelogs } = this.#meta
    const known = Object.values(changelogs).flatMap(({ progress }) => (progress === undefined ? [] : [progress]))
    const own = Object.keys(inputs).length === 0 ? [] : [{ inputs, clock }]
    return known.includes(null) ? undefined : newest([...own, ...known.filter((progress) => progress !== null)])
  }

  /** Changelog records it holds or has passed, over all stores: how far it is, as far as one number can tell. */
  get position(): number {
    return Object.values(this.#meta.changelogs).reduce((sum, { position }) => sum + position, 0)
  }

  /** Writes what a commit changed, in one batch with how far that brings us. */
  async persist({ changes, positions, progress }: Persisted, now = currentTime()): Promise<void> {
    const changelogs = mapValues(this.#meta.changelogs, ({ topicId, position, syncedPosition }, store) => {
      return { topicId, position: positions.get(store) ?? position, syncedPosition }
    })
    const { inputs, clock } = progress
    await this.#advance(changes, { ...this.#meta, changelogs, inputs: { ...this.#meta.inputs, ...inputs }, clock }, now)
  }

  /** Writes a piece of changelog, in one batch with how far that brings us. */
  async replay({ store, changes, position, progress }: Replayed, now = currentTime()): Promise<void> {
    const known = this.#meta.changelogs[store]!
    const moved = { ...known, position, ...(progress !== undefined && { progress }) }
    const changelogs = { ...this.#meta.changelogs, [store]: moved }
    await this.#advance(new Map([[store, changes]]), { ...this.#meta, changelogs }, now)
  }

  async #advance(changes: Persisted['changes'], meta: TaskMeta, now: ReturnType<typeof currentTime>): Promise<void> {
    const sync = now.ms - this.#syncedAtMs >= SYNC_EVERY_MS
    const changelogs = sync ? mapValues(meta.changelogs, synced) : meta.changelogs
    const written = { bootId: this.bootId, cleanClose: false, persistedAtMs: now.wallMs, changelogs }
    await this.#write(changes, { ...meta, ...written }, sync)
    if (sync) this.#syncedAtMs = now.ms
  }

  /** Deletes by engine key, besides what commits write: expired windows. */
  async remove(engineKeys: readonly Buffer[]): Promise<void> {
    await this.#apply(
      engineKeys.map((key) => ({ key, value: undefined })),
      false,
    )
  }

  /**
   * Notes that the state is current although nothing has changed for long: its age is what tells whether it may have
   * missed deletions. Not while a commit is being written.
   */
  async touch(now = currentTime()): Promise<void> {
    if (Object.keys(this.#meta.changelogs).length > 0) await this.#advance(new Map(), this.#meta, now)
  }

  /**
   * A clean close: everything is synced, and says so.
   * @param currentAtMs until when it was current, epoch ms, if that is later than what was written last
   */
  async close(currentAtMs = 0): Promise<void> {
    try {
      if (this.broken || Object.keys(this.#meta.changelogs).length === 0) return
      const changelogs = mapValues(this.#meta.changelogs, synced)
      const persistedAtMs = Math.max(this.#meta.persistedAtMs, currentAtMs)
      const closed = { bootId: this.bootId, cleanClose: true, changelogs, persistedAtMs }
      await this.#write(new Map(), { ...this.#meta, ...closed }, true)
    } finally {
      await this.engine.close()
    }
  }

  async #write(changes: Persisted['changes'], meta: TaskMeta, sync: boolean): Promise<void> {
    const writes = [...changes].flatMap(([store, changed]) => withPrefix(storePrefix(store), changed))
    writes.push({ key: META_KEY, value: encodeTaskMeta(meta) })
    await this.#apply(writes, sync)
    this.#meta = meta
  }

  async #apply(writes: readonly EngineWrite[], sync: boolean): Promise<void> {
    if (this.#broken) throw new Error(`task ${this.taskId}: a write has failed before; its engine must be opened again`)
    try {
      await this.engine.write(writes, { sync })
    } catch (error) {
      this.#broken = true
      throw error
    }
  }

  #empty(): TaskMeta {
    return {
      format: STATE_FORMAT,
      bootId: this.bootId,
      cleanClose: false,
      persistedAtMs: 0,
      changelogs: {},
      inputs: {},
      clock: '{}',
    }
  }
}

function synced(known: ChangelogPosition): ChangelogPosition {
  return { ...known, syncedPosition: known.position }
}

/** The same changes under the keys of the engine, whose bytes all lie in one buffer. */
function withPrefix(prefix: Buffer, changes: readonly EngineWrite[]): EngineWrite[] {
  let sizeBytes = 0
  for (const { key } of changes) sizeBytes += prefix.length + key.length
  const keys = Buffer.allocUnsafe(sizeBytes)
  let at = 0
  return changes.map(({ key, value }) => {
    const start = at
    at += prefix.copy(keys, at)
    at += key.copy(keys, at)
    return { key: keys.subarray(start, at), value }
  })
}

function currentTime() {
  return { wallMs: Date.now(), ms: performance.now() }
}

/** After a power cut only what was synced is sure to be there; changelog values are absolute, so replaying more heals. */
function backToSynced(known: ChangelogPosition): ChangelogPosition {
  return { ...known, position: known.syncedPosition }
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]))
}
