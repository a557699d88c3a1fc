import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startCassandra } from '@candlewick/dev/local/cassandra-server'
import { startChild, type Child } from '@candlewick/dev/local/child'
import { startKafka } from '@candlewick/dev/local/kafka-server'
import { ROOT } from '@candlewick/dev/local/paths'
import { freePorts, LOOPBACK } from '@candlewick/dev/local/ports'
import { waitReady } from '@candlewick/dev/local/ready'
import type { Server } from '@candlewick/dev/local/server'
import { neutralEnv } from '@candlewick/dev/stack/start-stack'
import { StartError } from '@candlewick/service/process'
import { Link } from './link.js'
import { Processor } from './processor.js'
import { SESSION_TIMEOUT_MS } from './scenes.js'

export const APPLICATION_ID = 'candlewick'
export const KEYSPACE = 'market'

export interface SystemOptions {
  dir: string
  partitions: number
  processors: number
  log: (line: string) => void
}

/** A server that is killed and started again on the same data and port; told what to do one thing after the other. */
export class BouncingServer {
  #server: Server | undefined
  #queue: Promise<void> = Promise.resolve()

  constructor(private readonly launch: () => Promise<Server>) {}

  /** Resolves when it answers. */
  start(): Promise<void> {
    return this.#then(async () => {
      this.#server ??= await this.launch()
    })
  }

  /** Resolves when it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return this.#then(async () => {
      const server = this.#server
      this.#server = undefined
      if (signal === 'SIGTERM') return server?.stop()
      server?.kill('SIGKILL')
      await server?.exited
    })
  }

  settled(): Promise<void> {
    return this.#queue
  }

  #then(act: () => Promise<unknown>): Promise<void> {
    this.#queue = this.#queue.then(act).then(() => undefined)
    return this.#queue
  }
}

/**
 * The system under test in a folder of its own: a real Kafka, a real Cassandra, processors that reach Kafka through a
 * link of their own each, and the API.
 */
export class System {
  readonly kafka: BouncingServer
  readonly cassandra: BouncingServer
  readonly processors: readonly Processor[]
  readonly kafkaBrokers: string
  readonly cassandraAt: { host: string; port: number }
  readonly #options: SystemOptions
  readonly #ports: Ports
  #api: Child | undefined

  private constructor(options: SystemOptions, ports: Ports) {
    const { dir, log } = options
    this.#options = options
    this.#ports = ports
    this.kafkaBrokers = `${LOOPBACK}:${ports.kafka}`
    this.cassandraAt = { host: LOOPBACK, port: ports.cassandra }
    const behindProxies = ports.processors.map(({ broker, link }) => ({ port: broker, proxyPort: link }))
    this.kafka = new BouncingServer(() => startKafka({ dir: join(dir, 'kafka'), port: ports.kafka, behindProxies }))
    this.cassandra = new BouncingServer(() =>
      startCassandra({ dir: join(dir, 'cassandra'), nativePort: ports.cassandra }),
    )
    this.processors = ports.processors.map(({ http, broker, link }, index) => {
      const name = `processor-${index + 1}`
      const stateDir = join(dir, name)
      return new Processor({
        name,
        port: http,
        stateDir,
        logFile: join(dir, 'logs', `${name}.log`),
        link: new Link({ host: LOOPBACK, port: broker }),
        log,
        env: {
          ...this.#env(`${LOOPBACK}:${link}`),
          PROCESSOR_PORT: String(http),
          INSTANCE_ID: name,
          STATE_DIR: stateDir,
          SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
        },
      })
    })
  }

  /** Starts everything and waits until all answer. @throws StartError; nothing is left then */
  static async start(options: SystemOptions): Promise<System> {
    const system = new System(options, await pickPorts(options.processors))
    try {
      await system.#start()
    } catch (error) {
      await system.stop()
      throw error
    }
    return system
  }

  get api(): string {
    return `http://${LOOPBACK}:${this.#ports.api}`
  }

  /** How often the broker gave up writing a transaction's markers, which makes a run worthless: see KAFKA-20734. */
  async skippedMarkers(): Promise<number> {
    const dir = join(this.#options.dir, 'kafka')
    const logs = (await readdir(dir)).filter((name) => name.startsWith('kafka.log'))
    const texts = await Promise.all(logs.map((name) => readFile(join(dir, name), 'utf8')))
    return texts.reduce((sum, text) => sum + text.split('while trying to send transaction markers').length - 1, 0)
  }

  /** What the API said last, if it has ended by itself: nothing is done to it. */
  get apiCollapse(): string | undefined {
    return this.#api?.exit && this.#api.lastLines(2).join('\n')
  }

  /** Ends everything in order. */
  async stop(): Promise<void> {
    for (const { link } of this.processors) link.release('isolation')
    await Promise.all(this.processors.map((processor) => processor.continue()))
    await Promise.all([...this.processors.map((processor) => processor.terminate()), this.#api?.stop()])
    await Promise.all([this.cassandra.end('SIGTERM'), ...this.processors.map(({ link }) => link.close())])
    await this.kafka.end('SIGTERM')
  }

  async #start(): Promise<void> {
    const { dir, partitions } = this.#options
    await mkdir(join(dir, 'logs'), { recursive: true })
    const topics = { TRADES_PARTITIONS: String(partitions) }
    await Promise.all([
      this.kafka.start().then(() => this.#job('create-topics', 'processor/dist/create-topics-main.js', topics)),
      this.cassandra.start().then(() => this.#job('migrate', 'cassandra/dist/migrate-main.js', {})),
      ...this.processors.map(({ link }, index) => link.open(this.#ports.processors[index]!.link)),
    ])
    const env = { ...this.#env(this.kafkaBrokers), API_PORT: String(this.#ports.api) }
    this.#api = await this.#node('query-api', 'query-api/dist/main.js', env)
    await Promise.all(this.processors.map((processor) => processor.start()))
    await waitReady(this.#api, () => answers(`${this.api}/readyz`), { timeoutMs: 60_000 })
  }

  async #job(name: string, main: string, env: NodeJS.ProcessEnv): Promise<void> {
    const job = await this.#node(name, main, { ...this.#env(this.kafkaBrokers), ...env })
    const { code } = await job.exited
    if (code !== 0) throw new StartError(`${name} ended with ${code}: ${job.lastLines(5).join('\n')}`)
  }

  #node(name: string, main: string, env: NodeJS.ProcessEnv): Promise<Child> {
    const logFile = join(this.#options.dir, 'logs', `${name}.log`)
    return startChild({ name, command: process.execPath, args: [join(ROOT, main)], env, logFile })
  }

  #env(kafkaBrokers: string): NodeJS.ProcessEnv {
    return {
      ...neutralEnv(),
      HOST: LOOPBACK,
      KAFKA_BROKERS: kafkaBrokers,
      CASSANDRA_CONTACT_POINTS: LOOPBACK,
      CASSANDRA_PORT: String(this.#ports.cassandra),
      CASSANDRA_KEYSPACE: KEYSPACE,
      APPLICATION_ID,
    }
  }
}

interface Ports {
  kafka: number
  cassandra: number
  api: number
  /** Of each: its queries, the broker's listener for it, and the link before that. */
  processors: readonly { http: number; broker: number; link: number }[]
}

async function pickPorts(processors: number): Promise<Ports> {
  const [kafka, cassandra, api, ...others] = await freePorts(3 + 3 * processors)
  return {
    kafka: kafka!,
    cassandra: cassandra!,
    api: api!,
    processors: Array.from({ length: processors }, (_, index) => {
      const [http, broker, link] = others.slice(3 * index)
      return { http: http!, broker: broker!, link: link! }
    }),
  }
}

function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  )
}
