import { join } from 'node:path'
import { processStartMs } from '../../setup/lock.mjs'
import { describeExit, type Child } from '../local/child.js'
import { launch, serviceUrl, type LaunchOptions } from './launch.js'
import type { Part } from './plan.js'

export interface PartOptions extends Pick<LaunchOptions, 'dir' | 'env' | 'heapMb' | 'log'> {
  /** How long a part that died rests before it is started again; undefined = until somebody calls restart(). */
  restartAfterMs: number | undefined
  /** A process of the part came or went. */
  onChange: () => void
}

/** Services close within 20 s by themselves (service/process). */
const STOP_TIMEOUT_MS = 25_000

/** One part of a stack from its start to its end: started, waited for, started again when it dies, ended. */
export class RunningPart {
  readonly logFile: string
  /** Where a service answers; undefined for the servers. */
  readonly url: string | undefined
  /** When its process was started, epoch ms to the second. */
  startMs = 0
  /** The same, exactly; for measuring. */
  launchedAtMs = 0
  restarts = 0
  readonly #part: Part
  readonly #options: PartOptions
  readonly #ending = new AbortController()
  #child: Child | undefined
  #watching: Promise<void> = Promise.resolve()
  #restartIsWanted = false
  #endPause: () => void = () => undefined
  #waiters: ((error?: Error) => void)[] = []

  constructor(part: Part, options: PartOptions) {
    this.#part = part
    this.#options = options
    this.logFile = join(options.dir, 'logs', `${part.name}.log`)
    this.url = part.kind === 'service' ? serviceUrl(part) : undefined
  }

  get name(): string {
    return this.#part.name
  }

  get port(): number | undefined {
    return this.#part.port
  }

  /** undefined while it has no process. */
  get pid(): number | undefined {
    return this.#child?.exit === undefined ? this.#child?.pid : undefined
  }

  /**
   * Starts it and waits until it is up; from then on it is started again whenever it dies.
   * @throws StartError when it does not come up; nothing of it is left then
   */
  async start(): Promise<void> {
    await this.#launch()
    if (this.#part.kind !== 'job') this.#watching = this.#watch()
  }

  /** Sends its process a signal, for tests of what happens then. */
  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends its process, if there is one, and starts another at once. Resolves when that is up. */
  async restart(): Promise<void> {
    this.#restartIsWanted = true
    const up = new Promise<void>((resolve, reject) => {
      this.#waiters.push((error) => (error === undefined ? resolve() : reject(error)))
    })
    this.#endPause()
    await this.#child?.stop({ timeoutMs: STOP_TIMEOUT_MS })
    return up
  }

  /** From now on its process is not started again; a start under way is given up. */
  giveUp(): void {
    this.#ending.abort(new Error(`${this.name} was stopped`))
    this.#endPause()
  }

  /** Ends it for good: SIGTERM; SIGKILL when it takes too long or `hurry` says so. */
  async stop({ hurry = false } = {}): Promise<void> {
    this.giveUp()
    if (hurry) this.kill('SIGKILL')
    await this.#child?.stop({ timeoutMs: STOP_TIMEOUT_MS })
    await this.#watching
    for (const settle of this.#waiters.splice(0)) settle(new Error(`${this.name} was stopped`))
  }

  async #launch(): Promise<void> {
    this.#ending.signal.throwIfAborted()
    await launch(this.#part, {
      ...this.#options,
      logFile: this.logFile,
      signal: this.#ending.signal,
      onStarted: (child) => {
        this.#child = child
        this.launchedAtMs = Date.now()
        this.startMs = processStartMs(child.pid) ?? Date.now()
        this.#options.onChange()
        void child.exited.then(() => this.#options.onChange())
      },
    })
    for (const settle of this.#waiters.splice(0)) settle()
  }

  async #watch(): Promise<void> {
    const { log, restartAfterMs } = this.#options
    for (;;) {
      const exit = await this.#child!.exited
      if (this.#ending.signal.aborted) return
      const next = restartAfterMs === undefined ? '' : `, starts again in ${restartAfterMs / 1_000} s`
      if (!this.#restartIsWanted) log(`${this.name} died (${describeExit(exit)})${next}; its log: ${this.logFile}`)
      do {
        if (!this.#restartIsWanted) await this.#pause()
        this.#restartIsWanted = false
        if (this.#ending.signal.aborted) return
        this.restarts++
      } while (!(await this.#tryAgain()))
    }
  }

  async #pause(): Promise<void> {
    const { restartAfterMs } = this.#options
    await new Promise<void>((resolve) => {
      const timer = restartAfterMs === undefined ? undefined : setTimeout(resolve, restartAfterMs)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #tryAgain(): Promise<boolean> {
    try {
      await this.#launch()
      this.#options.log(`${this.name} is ready again`)
      return true
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#options.log(`${this.name}: ${(error as Error).message}`)
      return false
    }
  }
}
