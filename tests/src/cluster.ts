import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { CHART, ROOT } from './helm.js'

const run = promisify(execFile)

/** What keeps the test from running, or undefined: the cluster is the current context of kubectl. */
export async function whyNoCluster(): Promise<string | undefined> {
  try {
    await run('helm', ['version'])
  } catch {
    return 'helm is not there'
  }
  try {
    await run('kubectl', ['version', '--request-timeout', '5s'])
    return undefined
  } catch {
    return 'kubectl has no cluster'
  }
}

interface List<T> {
  items: T[]
}

export interface Pod {
  metadata: { name: string; uid: string }
  spec: { volumes: { name: string; persistentVolumeClaim?: { claimName: string } }[] }
  status: { phase: string; containerStatuses?: { restartCount: number; ready: boolean }[] }
}

/** A release of the chart in a namespace of its own, where every pod must pass the restricted Pod Security Standard. */
export class Release {
  readonly #forwards: ChildProcess[] = []
  readonly #values: string[]

  constructor(
    readonly namespace: string,
    values: Record<string, string>,
  ) {
    this.#values = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  }

  async kubectl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('kubectl', ['--namespace', this.namespace, ...args], { maxBuffer: 64 << 20 })
    return stdout
  }

  /** @returns what helm printed; a failure tells it too */
  async helm(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('helm', [...args, '--namespace', this.namespace], { cwd: ROOT, maxBuffer: 64 << 20 })
    return stdout
  }

  async createNamespace(): Promise<void> {
    await run('kubectl', ['create', 'namespace', this.namespace])
    await run('kubectl', ['label', 'namespace', this.namespace, 'pod-security.kubernetes.io/enforce=restricted'])
  }

  install(): Promise<string> {
    return this.helm('install', 'candlewick', CHART, '--wait', '--wait-for-jobs', '--timeout', '5m', ...this.#values)
  }

  upgrade(values: Record<string, string>): Promise<string> {
    const set = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])
    return this.helm('upgrade', 'candlewick', CHART, '--wait', '--timeout', '5m', ...this.#values, ...set)
  }

  async list<T>(kinds: string): Promise<T[]> {
    const selector = 'app.kubernetes.io/instance=candlewick'
    return (JSON.parse(await this.kubectl('get', kinds, '--selector', selector, '--output', 'json')) as List<T>).items
  }

  async pod(name: string): Promise<Pod | undefined> {
    return (await this.list<Pod>('pods')).find(({ metadata }) => metadata.name === name)
  }

  /**
   * Makes a port of a pod or service reachable here, until `close()`.
   * @param localPort 0 = any free one
   * @returns host:port
   */
  async forward(target: string, port: number, localPort = 0): Promise<string> {
    const ports = localPort === 0 ? `:${port}` : `${localPort}:${port}`
    const child = spawn('kubectl', ['--namespace', this.namespace, 'port-forward', target, ports])
    this.#forwards.push(child)
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    return new Promise((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        const match = /Forwarding from (127\.0\.0\.1:\d+)/.exec(chunk.toString())
        if (match !== null) resolve(match[1]!)
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`port-forward ${target} ${ports}: ${said}`)))
    })
  }

  async close(): Promise<void> {
    for (const child of this.#forwards) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const exited = once(child, 'exit')
      child.kill()
      await exited
    }
  }
}

/** Brings our images into the cluster by `IMAGE_LOAD`, a command that gets their names appended. */
export async function loadImages(tag: string): Promise<void> {
  const [command, ...args] = (process.env['IMAGE_LOAD'] ?? 'kind load docker-image').split(' ')
  const images = ['producer', 'processor', 'query-api', 'jobs', 'exchange'].map((name) => `candlewick/${name}:${tag}`)
  await run(command!, [...args, ...images], { maxBuffer: 64 << 20 })
}
