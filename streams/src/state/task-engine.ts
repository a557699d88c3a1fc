import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StreamsError } from '../errors.js'
import type {
  Engine,
  EngineEntry,
  EngineFactory,
  EngineReads,
  EngineScan,
  EngineSnapshot,
  EngineWrite,
} from './engine.js'
import { isCorruption, isDamage, isOfDisk, problemOf, unusable } from './engine-problems.js'

/** Tells in a task's directory whose files lie there. */
const ENGINE_FILE = 'ENGINE'
/** What it is before it is whole. */
const UNFINISHED_ENGINE_FILE = 'ENGINE.tmp'
/** Directories of before there was such a file. */
const FIRST_ENGINE = 'leveldb'

/**
 * The engine of a task and its directory. What cannot be trusted there is dropped, to be restored: files of another
 * engine, and damage, whether it is found before opening or met later. What stands in the way of using the directory at
 * all is an error that says what to do.
 */
export class TaskEngine implements EngineReads {
  #engine: Engine
  #damage: string | undefined

  constructor(
    private readonly taskId: string,
    private readonly directory: string,
    private readonly make: EngineFactory,
  ) {
    this.#engine = make(directory)
  }

  /** What was found damaged since it was opened: nothing it holds is believed, until `destroy()`. */
  get damage(): string | undefined {
    return this.#damage
  }

  /**
   * @returns why what lay there was dropped, in words; undefined when it was not
   * @throws StreamsError STATE
   */
  async open(): Promise<string | undefined> {
    const { storage } = this.#engine
    try {
      if (storage === undefined) {
        await this.#engine.open()
        return undefined
      }
      await mkdir(this.directory, { recursive: true })
      const distrusted = (await this.#foreignFiles(storage)) ?? (await this.#engine.findDamage?.())
      if (distrusted !== undefined) await this.#wipe()
      await this.#mark(storage)
      const refused = distrusted === undefined ? await this.#tryOpen() : undefined
      if (refused !== undefined) await this.#wipe()
      if (distrusted !== undefined || refused !== undefined) await this.#openEmpty(storage)
      return distrusted ?? refused
    } catch (error) {
      throw this.#unusable(error)
    }
  }

  /** Drops everything, and is open and empty afterwards. @throws StreamsError STATE */
  async destroy(): Promise<void> {
    const { storage } = this.#engine
    await this.#engine.close().catch(() => undefined)
    try {
      if (storage !== undefined) await this.#wipe()
      await this.#openEmpty(storage)
    } catch (error) {
      throw this.#unusable(error)
    }
    this.#damage = undefined
  }

  /** Closes it and opens it again: what was only in its memory is gone. As open(). */
  async reopen(): Promise<string | undefined> {
    await this.#engine.close().catch(() => undefined)
    this.#engine = this.make(this.directory)
    return this.open()
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  get(key: Buffer): Buffer | undefined {
    try {
      return this.#engine.get(key)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  entries(scan: EngineScan): AsyncIterable<EngineEntry> {
    return this.#watched(this.#engine.entries(scan))
  }

  snapshot(): EngineSnapshot {
    const snapshot = this.#engine.snapshot()
    return {
      get: (key) => {
        try {
          return snapshot.get(key)
        } catch (error) {
          throw this.#judged(error)
        }
      },
      entries: (scan) => this.#watched(snapshot.entries(scan)),
      close: () => snapshot.close(),
    }
  }

  /** @throws StreamsError STATE, or STATE_DAMAGED; what was written then is unknown until it was opened again */
  async write(writes: readonly EngineWrite[], options: { sync: boolean }): Promise<void> {
    if (this.#damage !== undefined) throw this.#damaged()
    try {
      await this.#engine.write(writes, options)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  async *#watched(entries: AsyncIterable<EngineEntry>): AsyncGenerator<EngineEntry> {
    try {
      yield* entries
    } catch (error) {
      throw this.#judged(error)
    }
  }

  /** Damage is remembered: whoever meets it first, nobody believes this engine any more. */
  #judged(error: unknown): unknown {
    if (!isCorruption(error)) return isOfDisk(error) ? this.#unusable(error) : error
    this.#damage ??= problemOf(error)
    return this.#damaged(error)
  }

  #damaged(cause?: unknown): StreamsError {
    return new StreamsError(
      'STATE_DAMAGED',
      `the state of task ${this.taskId} in ${this.directory} is damaged (${this.#damage}): it is dropped and restored`,
      { task: this.taskId },
      { cause },
    )
  }

  #unusable(error: unknown): StreamsError {
    return unusable(`the state of task ${this.taskId}`, this.directory, error, this.taskId)
  }

  /** @returns why what lies there cannot be opened */
  async #tryOpen(): Promise<string | undefined> {
    try {
      await this.#engine.open()
      return undefined
    } catch (error) {
      if (!isDamage(error)) throw error
      await this.#engine.close().catch(() => undefined)
      return problemOf(error)
    }
  }

  async #openEmpty(storage: string | undefined): Promise<void> {
    this.#engine = this.make(this.directory)
    if (storage !== undefined) await this.#mark(storage)
    await this.#engine.open()
  }

  async #foreignFiles(storage: string): Promise<string | undefined> {
    const files = await readdir(this.directory)
    if (files.every((name) => name === UNFINISHED_ENGINE_FILE)) return undefined
    const found = files.includes(ENGINE_FILE) ? await this.#marked() : FIRST_ENGINE
    // An empty file says nothing, so it is no proof of other files: a full disk or a power cut may have emptied it.
    return found === storage || found === '' ? undefined : `it is of the engine '${found}', and this is '${storage}'`
  }

  async #marked(): Promise<string> {
    return (await readFile(join(this.directory, ENGINE_FILE), 'utf8')).trim()
  }

  /**
   * Written only where it does not say so already, and whole or not at all: state is dropped by what it says. The
   * directory itself is synced by the engine, which makes its own files after this one.
   */
  async #mark(storage: string): Promise<void> {
    if ((await readdir(this.directory)).includes(ENGINE_FILE) && (await this.#marked()) === storage) return
    const unfinished = join(this.directory, UNFINISHED_ENGINE_FILE)
    await writeFile(unfinished, `${storage}\n`, { flush: true })
    await rename(unfinished, join(this.directory, ENGINE_FILE))
  }

  async #wipe(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
    await mkdir(this.directory, { recursive: true })
  }
}
