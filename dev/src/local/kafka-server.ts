import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startChild } from './child.js'
import { ensureJars } from './jars.js'
import { javaCommand } from './paths.js'
import { freePort, LOOPBACK } from './ports.js'
import { asks, waitReady } from './ready.js'
import {
  scramArguments,
  secureListeners,
  type KafkaSecurity,
  type SecureBrokers,
  type SecureListeners,
} from './kafka-security.js'
import { processOf, withPortRetries, type Server, type ServerOptions } from './server.js'

export interface KafkaServer extends Server {
  /** For KAFKA_BROKERS. */
  readonly brokers: string
  /** The doors that `security` opens. */
  readonly secure?: SecureBrokers
}

export interface KafkaOptions extends ServerOptions {
  /** Default: a free one. */
  port?: number
  /** Opens listeners with TLS and logins beside the one without. */
  security?: KafkaSecurity
  /** More listeners, each for those who come through a proxy of its own: for tests that cut or hold up connections. */
  behindProxies?: readonly ProxiedListener[]
}

/** Clients go where the broker tells them to: it must know the proxy's port. */
export interface ProxiedListener {
  port: number
  /** Where the proxy listens. */
  proxyPort: number
}

/**
 * Starts a real Kafka broker (KRaft, one node) whose data, configuration and log lie in `dir`, and waits until it
 * answers for metadata. With the data of an earlier start in `dir` it goes on with them.
 * @throws StartError with the last lines of its log when it does not come up
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const { dir, heapMb = 512 } = options
  const jars = await ensureJars('kafka', options)
  await mkdir(dir, { recursive: true })
  return withPortRetries(options.port === undefined, async () => {
    const port = options.port ?? (await freePort())
    const config = join(dir, 'server.properties')
    const { env = process.env, security, behindProxies = [] } = options
    const secure =
      security && secureListeners(security, { loginPort: await freePort(), certificatePort: await freePort() })
    const ports = { port, controllerPort: await freePort() }
    await writeFile(config, properties(ports, join(dir, 'data'), { secure, behindProxies }))
    const java = { command: javaCommand(env), env, classPath: join(jars, '*') }
    await format(dir, config, java, { users: security?.users ?? {}, signal: options.signal })
    const child = await startChild({
      name: 'kafka',
      command: java.command,
      env,
      args: [`-Xmx${heapMb}m`, ...JAVA_OPTIONS, '-cp', java.classPath, 'kafka.Kafka', config],
      cwd: dir,
      logFile: options.logFile ?? join(dir, 'kafka.log'),
    })
    options.onStarted?.(child)
    const answers = () => asks({ host: LOOPBACK, port }, METADATA_REQUEST, hasBroker)
    try {
      await waitReady(child, answers, { timeoutMs: 180_000, signal: options.signal })
    } catch (error) {
      await child.stop({ timeoutMs: 2_000 })
      throw error
    }
    const { brokers } = secure ?? {}
    return {
      ...processOf(child),
      brokers: `${LOOPBACK}:${port}`,
      host: LOOPBACK,
      port,
      ...(brokers && { secure: brokers }),
    }
  })
}

/** These write thousands of lines at a start, a few for every partition. */
const CHATTY = ['org.apache.kafka.storage.internals.log', 'kafka.log', 'org.apache.kafka.common.config']
const JAVA_OPTIONS = [
  '-XX:+ExitOnOutOfMemoryError',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS',
  ...CHATTY.map((name) => `-Dorg.slf4j.simpleLogger.log.${name}=warn`),
]

/** The cluster's id (16 bytes in base64url, as Kafka writes UUIDs), made at the first start and kept. */
async function keptClusterId(dir: string): Promise<string> {
  const file = join(dir, 'cluster-id')
  const kept = await readFile(file, 'utf8').catch(() => '')
  if (kept !== '') return kept
  const id = randomBytes(16).toString('base64url')
  await writeFile(file, id)
  return id
}

/** Prepares an empty data folder, as `kafka-storage.sh format` does. */
async function format(
  dir: string,
  config: string,
  java: { command: string; classPath: string; env: NodeJS.ProcessEnv },
  { users, signal }: { users: Readonly<Record<string, string>>; signal: AbortSignal | undefined },
): Promise<void> {
  const formatted = await readFile(join(dir, 'data', 'meta.properties')).catch(() => undefined)
  if (formatted !== undefined) return
  const tool = ['-XX:TieredStopAtLevel=1', '-cp', java.classPath, 'kafka.tools.StorageTool', 'format']
  const child = await startChild({
    name: 'kafka format',
    command: java.command,
    env: java.env,
    // In one argument: an id may begin with "-".
    args: [
      ...tool,
      `--cluster-id=${await keptClusterId(dir)}`,
      '-c',
      config,
      '--ignore-formatted',
      ...scramArguments(users),
    ],
    logFile: join(dir, 'format.log'),
  })
  try {
    await waitReady(child, async () => child.exit?.code === 0, { timeoutMs: 60_000, signal })
  } catch (error) {
    await child.stop({ timeoutMs: 2_000 })
    throw error
  }
}

/**
 * A broker for one machine: internal topics on one replica with few partitions, no waiting for more group members,
 * small buffers. Topics are made by us alone: a misspelled name is an error, not a new topic.
 */
function properties(
  { port, controllerPort }: { port: number; controllerPort: number },
  dataDir: string,
  others: { secure: SecureListeners | undefined; behindProxies: readonly ProxiedListener[] },
): string {
  const { secure, behindProxies } = others
  const proxied = behindProxies.map(({ port, proxyPort }, index) => {
    return { name: `PROXIED${index + 1}`, protocol: 'PLAINTEXT', port, toldPort: proxyPort }
  })
  const secured = secure?.listeners.map((listener) => ({ ...listener, toldPort: listener.port })) ?? []
  const more = [...secured, ...proxied]
  const listeners = more.map(({ name, port }) => `,${name}://${LOOPBACK}:${port}`).join('')
  const told = more.map(({ name, toldPort }) => `,${name}://${LOOPBACK}:${toldPort}`).join('')
  const protocols = more.map(({ name, protocol }) => `,${name}:${protocol}`).join('')
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${LOOPBACK}:${controllerPort}`,
    listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}${listeners}`,
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${port}${told}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'log.dirs': dataDir,
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 4,
    ...secure?.properties,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Metadata v4 for no topic: size, api 3, version 4, correlation 1, client id null, topics [], no automatic creation. */
const METADATA_REQUEST = Buffer.from('0000000f' + '0003' + '0004' + '00000001' + 'ffff' + '00000000' + '00', 'hex')

/** size i32, correlation i32, throttle i32, brokers i32: a broker that knows itself has registered with its controller. */
function hasBroker(answer: Buffer): boolean {
  return answer.length >= 16 && answer.readInt32BE(4) === 1 && answer.readInt32BE(12) > 0
}
