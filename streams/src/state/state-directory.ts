import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { StreamsError } from '../errors.js'
import { readBootId } from './boot-id.js'
import { isDamage, isLocked, unusable } from './engine-problems.js'

/**
 * One directory per application and process:
 *
 *     <stateDir>/<application id>/instance/     identity and lock: a LevelDB held open, whose lock dies with the process
 *     <stateDir>/<application id>/tasks/0_3/    the engine of task 0_3
 */
export class StateDirectory {
  readonly #root: string
  #identity: ClassicLevel<string, string>
  #bootId = ''
  #instanceId = ''

  constructor(stateDir: string, applicationId: string) {
    this.#root = join(stateDir, applicationId)
    this.#identity = new ClassicLevel(join(this.#root, 'instance'))
  }

  /**
   * Takes the lock and finds out who we are.
   * @param wanted instance id from the settings; else the one kept here, made at the first start
   * @throws StreamsError LOCKED while another process holds it, STATE when it cannot be used
   */
  async open(wanted: string | undefined): Promise<void> {
    try {
      await mkdir(join(this.#root, 'tasks'), { recursive: true })
      await this.#openIdentity()
      this.#instanceId = wanted ?? (await this.#identity.get('instanceId')) ?? randomUUID()
      await this.#identity.put('instanceId', this.#instanceId, { sync: true })
    } catch (error) {
      await this.#identity.close()
      throw this.#explained(error)
    }
    // Without one, every start is taken for a new boot: replaying too much is harmless.
    this.#bootId = (await readBootId()) ?? randomUUID()
  }

  get instanceId(): string {
    return this.#instanceId
  }

  get bootId(): string {
    return this.#bootId
  }

  /** The id under which the last process with this directory was in the group; undefined if none was. */
  memberId(): Promise<string | undefined> {
    return this.#identity.get('memberId')
  }

  /** Kept before the member may be given work, so that the next process can leave on its behalf. */
  async rememberMemberId(memberId: string): Promise<void> {
    await this.#identity.put('memberId', memberId).catch((error: unknown) => {
      throw this.#explained(error)
    })
  }

  taskDirectory(taskId: string): string {
    return join(this.#root, 'tasks', taskId)
  }

  /** Tasks whose state lies here. */
  async storedTasks(): Promise<string[]> {
    return (await readdir(join(this.#root, 'tasks'))).filter((name) => /^\d+_\d+$/.test(name))
  }

  close(): Promise<void> {
    return this.#identity.close()
  }

  /**
   * Removes the state of tasks that nobody has asked for here for so long: it would be restored if one came back.
   * To be called now and then: it also notes that those to keep are in use.
   * @param keep tasks of this process, whatever it does for them
   * @returns the tasks whose state is gone
   */
  async removeObsolete(keep: ReadonlySet<string>, unusedMs: number, nowMs = Date.now()): Promise<string[]> {
    const removed: string[] = []
    for (const id of await this.storedTasks()) {
      const directory = this.taskDirectory(id)
      if (keep.has(id)) {
        await utimes(directory, nowMs / 1000, nowMs / 1000)
      } else if (nowMs - (await stat(directory)).mtimeMs > unusedMs) {
        await rm(directory, { recursive: true, force: true })
        removed.push(id)
      }
    }
    return removed
  }

  /** Without its identity a process is a new one, whose state is still there: it is made anew where it is damaged. */
  async #openIdentity(): Promise<void> {
    try {
      await this.#identity.open()
    } catch (error) {
      if (!isDamage(error)) throw error
      const directory = this.#identity.location
      for (const name of await readdir(directory)) {
        // Its lock stays: another process may be doing the same.
        if (name !== 'LOCK') await rm(join(directory, name), { recursive: true })
      }
      this.#identity = new ClassicLevel(directory)
      await this.#identity.open()
    }
  }

  #explained(error: unknown): StreamsError {
    if (!isLocked(error)) return unusable('the state', this.#root, error)
    return new StreamsError(
      'LOCKED',
      `another process uses the state directory ${this.#root}: give each process a stateDir of its own, or stop that one`,
    )
  }
}
