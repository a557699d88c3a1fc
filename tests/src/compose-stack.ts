import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts, LOOPBACK } from '@candlewick/dev/local/ports'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Of what a failed command said, this much is told. */
const MOST_LINES = 25

/** Ports at which the processes tell about themselves. */
const MONITORING = ['PRODUCER_PORT', 'PROCESSOR_1_PORT', 'PROCESSOR_2_PORT'] as const

/** docker compose as the plugin of the docker command, or the command it was before. */
const WAYS = [['docker', 'compose'], ['docker-compose']] as const

/** How compose is called here; undefined when it is not there. */
export async function findComposeCommand(): Promise<readonly string[] | undefined> {
  for (const way of WAYS) {
    const [command, ...first] = way
    const works = await run(command, [...first, 'version']).then(
      () => true,
      () => false,
    )
    if (works) return way
  }
  return undefined
}

/** The same, or what is missing to run something. The engine is the one DOCKER_HOST or the docker context names. */
export async function findCompose(): Promise<readonly string[] | { missing: string }> {
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 20_000 })
  } catch {
    return { missing: 'no Docker engine answers (DOCKER_HOST, docker context)' }
  }
  return (await findComposeCommand()) ?? { missing: 'neither `docker compose` nor `docker-compose` is there' }
}

/** The system of docker-compose.yaml under a project name and ports of its own, untouched by a .env file. */
export class ComposeStack {
  readonly #env: NodeJS.ProcessEnv

  private constructor(
    private readonly way: readonly string[],
    readonly project: string,
    private readonly ports: { api: number; kafka: number; cassandra: number; monitoring: readonly number[] },
    settings: Record<string, string>,
  ) {
    this.#env = {
      ...process.env,
      FINNHUB_API_KEY: '',
      FINNHUB_URL: '',
      API_PORT: String(ports.api),
      KAFKA_PORT: String(ports.kafka),
      CASSANDRA_PORT: String(ports.cassandra),
      ...Object.fromEntries(MONITORING.map((name, index) => [name, String(ports.monitoring[index])])),
      ...settings,
    }
  }

  static async create(way: readonly string[], settings: Record<string, string>): Promise<ComposeStack> {
    const [api, kafka, cassandra, ...monitoring] = await freePorts(3 + MONITORING.length)
    const ports = { api: api!, kafka: kafka!, cassandra: cassandra!, monitoring }
    return new ComposeStack(way, `candlewick-test-${process.pid}`, ports, settings)
  }

  /** Where it can be asked from this machine. */
  get system() {
    const { api, kafka, cassandra, monitoring } = this.ports
    const [producer, ...processors] = monitoring.map((port) => `http://${LOOPBACK}:${port}`)
    return {
      api: `http://${LOOPBACK}:${api}`,
      producer: producer!,
      processors,
      kafkaBrokers: `${LOOPBACK}:${kafka}`,
      cassandra: { host: LOOPBACK, port: cassandra },
      keyspace: 'market',
    }
  }

  /** Runs compose; on failure the error carries what it said. */
  async compose(...args: string[]): Promise<string> {
    const [command, ...first] = this.way as [string, ...string[]]
    const all = [...first, '--env-file', '/dev/null', '--project-name', this.project, ...args]
    return this.#run(command, all)
  }

  docker(...args: string[]): Promise<string> {
    return this.#run('docker', args)
  }

  /** Id of a service's container. */
  async container(service: string): Promise<string> {
    return (await this.compose('ps', '--all', '--quiet', service)).trim()
  }

  /** Containers, volumes and networks there are of this project. */
  async remains(): Promise<string[]> {
    const label = `label=com.docker.compose.project=${this.project}`
    const lists = await Promise.all([
      this.docker('ps', '--all', '--quiet', '--filter', label),
      this.docker('volume', 'ls', '--quiet', '--filter', label),
      this.docker('network', 'ls', '--quiet', '--filter', label),
    ])
    return lists.flatMap((list) => list.split('\n').filter((line) => line !== ''))
  }

  async #run(command: string, args: readonly string[]): Promise<string> {
    const options = { cwd: ROOT, env: this.#env, maxBuffer: 64 * 1024 * 1024 }
    try {
      return (await run(command, args, options)).stdout
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      const said = [stdout, stderr].flatMap((text) => text.trimEnd().split('\n').slice(-MOST_LINES)).join('\n')
      // The error itself holds all that was said, which may be megabytes.
      // eslint-disable-next-line preserve-caught-error
      throw new Error(`${command} ${args.join(' ')}\n${said}`)
    }
  }
}
