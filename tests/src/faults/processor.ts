import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describeExit, startChild, type Child } from '@candlewick/dev/local/child'
import { ROOT } from '@candlewick/dev/local/paths'
import { Counters } from './counters.js'
import type { Link } from './link.js'
import type { Moment } from './requests.js'

export interface ProcessorOptions {
  name: string
  port: number
  stateDir: string
  logFile: string
  env: NodeJS.ProcessEnv
  /** Its way to Kafka. */
  link: Link
  /** A line for whoever watches. */
  log: (line: string) => void
}

/** Services end within 20 s of SIGTERM; then an orchestrator loses patience. */
const PATIENCE_MS = 25_000
/** Commits come several times a second; heartbeats twice a second. */
export const MOMENT_COMES_WITHIN_MS = 2_000
/** As an orchestrator starts again what ended by itself. */
const RESTART_AFTER_MS = 1_000

/** One processor, whatever process it runs in just now; told what to do one thing after the other. */
export class Processor {
  readonly link: Link
  readonly counters = new Counters()
  /** Ended without being asked to: what it said. */
  readonly collapses: string[] = []
  /** Did not end within the time that SIGTERM gives. */
  stubborn = 0
  readonly #options: ProcessorOptions
  #child: Child | undefined
  #wanted = false
  #queue: Promise<void> = Promise.resolve()

  constructor(options: ProcessorOptions) {
    this.#options = options
    this.link = options.link
  }

  get name(): string {
    return this.#options.name
  }

  get url(): string {
    return `http://127.0.0.1:${this.#options.port}`
  }

  get pid(): number | undefined {
    return this.#child?.exit === undefined ? this.#child?.pid : undefined
  }

  /** Resolves when everything asked for was done. */
  settled(): Promise<void> {
    return this.#queue
  }

  start(): Promise<void> {
    return this.#then(async () => {
      this.#wanted = true
      if (this.pid === undefined) await this.#spawn()
    })
  }

  /** kill -9; before a request means that the broker never gets it. */
  kill(at?: Moment): Promise<void> {
    return this.#then(async () => {
      this.#wanted = false
      await this.#at(at, () => {
        this.#child?.kill('SIGKILL')
        if (at?.moment === 'before') this.link.cut()
      })
      await this.#child?.exited
    })
  }

  /** SIGTERM: it commits, leaves the group and ends. */
  terminate(): Promise<void> {
    return this.#then(async () => {
      this.#wanted = false
      const startedMs = performance.now()
      await this.#child?.stop({ timeoutMs: PATIENCE_MS })
      if (performance.now() - startedMs >= PATIENCE_MS) this.stubborn++
    })
  }

  /** SIGSTOP; before a request means that the request is held back until it goes on. */
  stop(at?: Moment): Promise<void> {
    return this.#then(() =>
      this.#at(at, () => {
        this.#child?.kill('SIGSTOP')
        if (at?.moment === 'before') this.link.hold('stopped process')
      }),
    )
  }

  /** SIGCONT. */
  continue(): Promise<void> {
    return this.#then(async () => {
      this.#child?.kill('SIGCONT')
      this.link.release('stopped process')
    })
  }

  /** Only while it is not running. */
  deleteState(): Promise<void> {
    return this.#then(() => rm(this.#options.stateDir, { recursive: true, force: true }))
  }

  async isReady(): Promise<boolean> {
    return fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
      ({ ok }) => ok,
      () => false,
    )
  }

  /** Takes down what it counted so far; one that does not answer is asked again the next time. */
  async count(): Promise<void> {
    const pid = this.pid
    if (pid === undefined) return
    const text = await fetch(`${this.url}/metrics`, { signal: AbortSignal.timeout(900) }).then(
      (answer) => answer.text(),
      () => undefined,
    )
    if (text !== undefined && pid === this.pid) this.counters.take(pid, text)
  }

  #then(act: () => Promise<unknown>): Promise<void> {
    this.#queue = this.#queue.then(act).then(() => undefined)
    return this.#queue
  }

  async #spawn(): Promise<void> {
    const { name, env, logFile, log } = this.#options
    const main = join(ROOT, 'processor', 'dist', 'main.js')
    const child = await startChild({ name, command: process.execPath, args: [main], env, logFile })
    this.#child = child
    void child.exited.then((exit) => {
      if (!this.#wanted || this.#child !== child) return
      const lines = child.lastLines(100)
      const why = lines.findLast((line) => line.startsWith('{"level":"fatal"')) ?? lines.slice(-3).join(' ')
      const words = `${describeExit(exit)}: ${why.slice(0, 1_000)}`
      this.collapses.push(words)
      log(`${name} ENDED BY ITSELF, ${words}`)
      setTimeout(() => this.#wanted && void this.start(), RESTART_AFTER_MS)
    })
  }

  /** At a moment of the protocol, if it comes soon. */
  async #at(at: Moment | undefined, act: () => void): Promise<void> {
    if (at === undefined) act()
    else await this.link.atRequest(at, act, MOMENT_COMES_WITHIN_MS)
  }
}
