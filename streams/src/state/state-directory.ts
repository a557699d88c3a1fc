import { randomUUID } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { messageOf, StreamsError } from '../errors.js'
import { readBootId } from './boot-id.js'

/**
 * One directory per application and process:
 *
 *     <stateDir>/<application id>/instance/     identity and lock: a LevelDB held open, whose lock dies with the process
 *     <stateDir>/<application id>/tasks/0_3/    the engine of task 0_3
 */
export class StateDirectory {
  readonly #root: string
  readonly #identity: ClassicLevel<string, string>
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
    await mkdir(join(this.#root, 'tasks'), { recursive: true }).catch((error: unknown) => {
      throw this.#unusable(error)
    })
    try {
      await this.#identity.open()
    } catch (error) {
      const locked = ((error as Error).cause as { code?: string } | undefined)?.code === 'LEVEL_LOCKED'
      if (!locked) throw this.#unusable((error as Error).cause ?? error)
      throw new StreamsError(
        'LOCKED',
        `another process uses the state directory ${this.#root}: give each process a STATE_DIR of its own, or stop that one`,
      )
    }
    this.#instanceId = wanted ?? (await this.#identity.get('instanceId')) ?? randomUUID()
    await this.#identity.put('instanceId', this.#instanceId, { sync: true })
    // Without one, every start is taken for a new boot: replaying too much is harmless.
    this.#bootId = (await readBootId()) ?? randomUUID()
  }

  get instanceId(): string {
    return this.#instanceId
  }

  get bootId(): string {
    return this.#bootId
  }

  /** The id under which the last process with this directory was in the group; undefined after it left in order. */
  async memberId(): Promise<string | undefined> {
    const memberId = await this.#identity.get('memberId')
    return memberId === '' ? undefined : memberId
  }

  /** Kept before the member may be given work, so that the next process can leave on its behalf. */
  async rememberMemberId(memberId: string): Promise<void> {
    await this.#identity.put('memberId', memberId)
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

  #unusable(cause: unknown): StreamsError {
    const message = `the state directory ${this.#root} cannot be used (${messageOf(cause)}): it must be a directory that can be written`
    return new StreamsError('STATE', message, {}, { cause })
  }
}
