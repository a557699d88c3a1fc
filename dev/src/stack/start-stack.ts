import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { StartError } from '@candlewick/service/process'
import { readSettings } from '@candlewick/service/settings'
import { thisProcess, withLock } from '../../setup/lock.mjs'
import { LOOPBACK } from '../local/ports.js'
import { LOCAL_SETTINGS } from '../settings.js'
import { commonEnv, planStack, reachable, stopGroups, type ExchangeOptions, type Part } from './plan.js'
import { pickPorts, portsOf, refuseTakenPorts } from './ports.js'
import { RunningPart } from './running-part.js'
import { endOrphans, findStack, removeState, writeState, type StackState } from './state-file.js'

export interface StackOptions {
  /** Data and logs of this stack, nobody else's; created, and gone on with when there are data of an earlier start. */
  dir: string
  /** `fixed`: as the settings say. `free`: picked, so that any number of stacks can run. */
  ports: 'fixed' | 'free'
  /** How many processors share the work. Default: PROCESSORS. */
  processors?: number
  /** What the simulated exchange sends; false = the real Finnhub. */
  exchange?: ExchangeOptions | false
  /** The settings of all processes. Default: none, so that a stack for a test is not changed by somebody's own. */
  env?: NodeJS.ProcessEnv
  /** How long a process that died rests before it is started again; null = until restart(). Default: RESTART_AFTER_S. */
  restartAfterMs?: number | null
  /** A line per step. */
  log?: (line: string) => void
  /** Gives up the start: what was begun is ended in order, and startStack() rejects. */
  signal?: AbortSignal
}

export interface Stack {
  readonly dir: string
  readonly kafkaBrokers: string
  readonly cassandra: { host: string; port: number }
  readonly applicationId: string
  /** Base URLs without a slash at the end. */
  readonly urls: { api: string; exchange?: string; producer: string; processors: string[] }
  /** By name: kafka, cassandra, exchange, producer, processor-1, processor-2, ..., query-api. */
  readonly children: ReadonlyMap<string, RunningPart>
  /** One of the children. @throws when there is no such */
  child(name: string): RunningPart
  /** Ends all in order and resolves when nothing is left. Called again with `hurry`, it kills what is left. */
  stop(options?: { hurry?: boolean }): Promise<void>
}

/** What a process may need of the environment besides our settings. */
const NEUTRAL = ['PATH', 'HOME', 'USER', 'TMPDIR', 'LANG', 'JAVA_HOME']

/** The environment without anybody's settings. */
export function neutralEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => NEUTRAL.includes(name)))
}

/**
 * Starts everything: Kafka, Cassandra, topics, tables, exchange, producer, processors and the API, each as soon as what
 * it needs is up, and waits until all answer. Processes that die later are started again.
 * @throws StartError or SettingsError when something does not come up; all that was started is ended before
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dir, env = neutralEnv(), log = () => undefined, exchange = {}, signal } = options
  const settings = readSettings(LOCAL_SETTINGS, env)
  const processors = options.processors ?? settings.PROCESSORS
  const ports = options.ports === 'fixed' ? portsOf(settings, processors) : await pickPorts(processors)
  const plan = { dir, ports, host: settings.HOST, exchange, symbolsAreSet: Boolean(env['SYMBOLS']) }
  const parts = planStack(plan)
  mkdirSync(dir, { recursive: true })

  const state: StackState = {
    supervisor: thisProcess(),
    host: settings.HOST,
    kafkaBrokers: `${LOOPBACK}:${ports.kafka}`,
    applicationId: settings.APPLICATION_ID,
    topicPrefix: env['TOPIC_PREFIX'] ?? '',
    apiPort: ports.api,
    parts: [],
  }
  await claim(dir, state, parts, log)

  const { RESTART_AFTER_S, KAFKA_HEAP_MB, CASSANDRA_HEAP_MB } = settings
  const restartAfterMs = options.restartAfterMs === undefined ? RESTART_AFTER_S * 1_000 : options.restartAfterMs
  const stack = new Supervisor(parts, state, {
    dir,
    env: { ...env, ...commonEnv(plan) },
    heapMb: { kafka: KAFKA_HEAP_MB, cassandra: CASSANDRA_HEAP_MB },
    restartAfterMs: restartAfterMs ?? undefined,
    log,
  })
  const giveUp = () => void stack.stop()
  signal?.addEventListener('abort', giveUp)
  try {
    signal?.throwIfAborted()
    await stack.start()
  } catch (error) {
    await stack.stop()
    throw error
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }

  const own = reachable(settings.HOST)
  const url = (port: number) => `http://${own}:${port}`
  return {
    dir,
    kafkaBrokers: state.kafkaBrokers,
    cassandra: { host: LOOPBACK, port: ports.cassandra },
    applicationId: settings.APPLICATION_ID,
    urls: {
      api: url(ports.api),
      ...(exchange !== false && { exchange: url(ports.exchange) }),
      producer: url(ports.producer),
      processors: ports.processors.map(url),
    },
    children: stack.children,
    child(name) {
      const child = stack.children.get(name)
      if (child === undefined) throw new Error(`there is no ${name} in this stack`)
      return child
    },
    stop: (how) => stack.stop(how),
  }
}

/** Makes this process the one that looks after `dir`, and the ports its own, or says why it cannot be. */
async function claim(dir: string, state: StackState, parts: Part[], log: (line: string) => void): Promise<void> {
  await withLock(
    join(dir, 'start.lock'),
    () => undefined,
    async () => {
      const found = findStack(dir)
      if (found.kind === 'running') {
        throw new StartError(
          `it is running already (process ${found.state.supervisor.pid}): npm run status shows it, npm stop ends it`,
        )
      }
      if (found.kind === 'orphans') await endOrphans(found.parts, log)
      await refuseTakenPorts(parts)
      writeState(dir, state)
    },
  )
}

/** Starts parts in the order of their needs, keeps the state file, ends all. */
class Supervisor {
  readonly children: ReadonlyMap<string, RunningPart>
  readonly #parts: readonly Part[]
  readonly #state: StackState
  readonly #dir: string
  readonly #log: (line: string) => void
  readonly #ups = new Map<string, Promise<void>>()
  #hurry = false
  #stopped: Promise<void> | undefined
  #ended = false

  constructor(
    parts: readonly Part[],
    state: StackState,
    options: Omit<ConstructorParameters<typeof RunningPart>[1], 'onChange'>,
  ) {
    this.#parts = parts
    this.#state = state
    this.#dir = options.dir
    this.#log = options.log
    const onChange = () => this.#record()
    this.children = new Map(parts.map((part) => [part.name, new RunningPart(part, { ...options, onChange })]))
  }

  async start(): Promise<void> {
    await Promise.all(this.#parts.map((part) => this.#up(part)))
  }

  stop({ hurry = false } = {}): Promise<void> {
    if (hurry) {
      this.#hurry = true
      for (const child of this.children.values()) child.kill('SIGKILL')
    }
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  /** Starts a part once all it needs is up; memoised. */
  #up(part: Part): Promise<void> {
    const begun = this.#ups.get(part.name)
    if (begun !== undefined) return begun
    const needs = this.#parts.filter(({ name }) => part.after.includes(name))
    const up = (async () => {
      await Promise.all(needs.map((need) => this.#up(need)))
      if (part.kind !== 'job') this.#log(`starting ${part.title}`)
      await this.children.get(part.name)!.start()
      this.#log(`${part.title}: ready${part.port === undefined ? '' : ` (port ${part.port})`}`)
    })()
    this.#ups.set(part.name, up)
    return up
  }

  async #end(): Promise<void> {
    for (const child of this.children.values()) child.giveUp()
    for (const group of stopGroups([...this.children.values()])) {
      await Promise.all(
        group.map(async (child) => {
          const lives = child.pid !== undefined
          await child.stop({ hurry: this.#hurry })
          if (lives) this.#log(`${child.name} ended`)
        }),
      )
    }
    this.#ended = true
    removeState(this.#dir)
  }

  #record(): void {
    if (this.#ended) return
    const alive = [...this.children.values()].flatMap(({ name, pid, port, startMs, restarts }) =>
      pid === undefined ? [] : [{ name, pid, startMs, restarts, ...(port !== undefined && { port }) }],
    )
    writeState(this.#dir, { ...this.#state, parts: alive })
  }
}
