import { access, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { StateDirectory } from '../state/state-directory.js'
import { CliError } from './failure.js'

/** What an application has left in one state directory. Its lock is held, so that no process starts on it meanwhile. */
export class LocalState {
  readonly #directory: StateDirectory

  private constructor(
    directory: StateDirectory,
    /** One a task, absolute. */
    readonly taskDirectories: readonly string[],
  ) {
    this.#directory = directory
  }

  /**
   * @returns undefined if the application has nothing there
   * @throws CliError when there is no such directory: a misspelled one must not pass for one that is empty;
   * StreamsError LOCKED while an instance uses it, STATE if it cannot be read
   */
  static async open(stateDir: string, applicationId: string): Promise<LocalState | undefined> {
    const root = resolve(stateDir)
    const isDirectory = await stat(root).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isDirectory) throw new CliError(`--state-dir ${stateDir}: there is no directory ${root}`)
    const exists = await access(join(root, applicationId)).then(
      () => true,
      () => false,
    )
    if (!exists) return undefined
    const directory = new StateDirectory(root, applicationId)
    await directory.open(undefined)
    const tasks = (await directory.storedTasks()).sort()
    return new LocalState(
      directory,
      tasks.map((task) => directory.taskDirectory(task)),
    )
  }

  /** Deletes the state of all tasks. The instance's identity stays: it is no state, and its name may be known elsewhere. */
  async delete(): Promise<void> {
    for (const path of this.taskDirectories) await rm(path, { recursive: true, force: true })
  }

  close(): Promise<void> {
    return this.#directory.close()
  }
}
