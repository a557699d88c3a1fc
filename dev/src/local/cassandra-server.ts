import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startChild } from './child.js'
import { ensureJars } from './jars.js'
import { javaCommand } from './paths.js'
import { freePort, isPortFree, LOOPBACK } from './ports.js'
import { asks, speaksTls, waitReady } from './ready.js'
import { processOf, withPortRetries, type Server, type ServerOptions } from './server.js'

/** `host` and `port` are those of the native protocol (CQL). */
export type CassandraServer = Server

export interface CassandraOptions extends ServerOptions {
  /** Port of the native protocol. Default: a free one. */
  nativePort?: number
  /** TLS, client certificates and logins on the native protocol. */
  security?: CassandraSecurity
}

/** PEM files, made by whoever starts the server. Its first user is `cassandra` with the password `cassandra`. */
export interface CassandraSecurity {
  /** Key and certificate of the node in one file. */
  storeFile: string
  /** The authority that signs the clients' certificates. */
  caFile: string
}

/**
 * Starts a real Cassandra (one node) whose data, configuration and log lie in `dir`, and waits until it answers on the
 * native protocol. With the data of an earlier start in `dir` it goes on with them.
 * @throws StartError with the last lines of its log when it does not come up
 */
export async function startCassandra(options: CassandraOptions): Promise<CassandraServer> {
  const { dir, heapMb = 1_024 } = options
  const jars = await ensureJars('cassandra', options)
  await mkdir(dir, { recursive: true })

  return withPortRetries(options.nativePort === undefined, async () => {
    const port = options.nativePort ?? (await freePort())
    const config = join(dir, 'cassandra.yaml')
    const { security } = options
    await writeFile(
      config,
      yaml({ port, storagePort: await storagePort(dir) }) + (security ? securityYaml(security) : ''),
    )
    await writeFile(join(dir, 'logback.xml'), LOGBACK)
    const child = await startChild({
      name: 'cassandra',
      command: javaCommand(options.env),
      args: javaArgs({ dir, jars, config, heapMb }),
      cwd: dir,
      ...(options.env !== undefined && { env: options.env }),
      logFile: options.logFile ?? join(dir, 'cassandra.log'),
    })
    options.onStarted?.(child)
    const where = { host: LOOPBACK, port }
    const answers = () => (security ? speaksTls(where) : asks(where, OPTIONS_REQUEST, isSupported))
    try {
      await waitReady(child, answers, { timeoutMs: 180_000, signal: options.signal })
    } catch (error) {
      await child.stop({ timeoutMs: 2_000 })
      throw error
    }
    return { ...processOf(child), ...where }
  })
}

/** Cassandra writes its own address into its data: keep the port between nodes as long as it is free. */
async function storagePort(dir: string): Promise<number> {
  const file = join(dir, 'storage-port')
  const kept = Number(await readFile(file, 'utf8').catch(() => '0'))
  if (kept > 0 && (await isPortFree(kept))) return kept
  const port = await freePort()
  await writeFile(file, String(port))
  return port
}

/** A node for one machine: small caches, no snapshots of dropped tables, no hints (there is nobody to hand them to). */
function yaml(where: { port: number; storagePort: number }): string {
  return `cluster_name: candlewick-local
num_tokens: 1
allocate_tokens_for_local_replication_factor: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
# A write is acknowledged when it is on disk: with the default (periodic, 10 s) a kill -9 of the only node loses what was
# acknowledged since, and the sink has committed its offsets by then. With several nodes the other replicas have it.
commitlog_sync: batch
commitlog_segment_size: 16MiB
auto_snapshot: false
hinted_handoff_enabled: false
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "${LOOPBACK}:${where.storagePort}"
listen_address: ${LOOPBACK}
storage_port: ${where.storagePort}
rpc_address: ${LOOPBACK}
native_transport_port: ${where.port}
start_native_transport: true
`
}

/** Clients need both: a certificate of the authority and a password. */
function securityYaml({ storeFile, caFile }: CassandraSecurity): string {
  return `authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: ${storeFile}
  truststore: ${caFile}
`
}

const LOGBACK = `<configuration>
  <appender name="stdout" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level [%thread] %logger{24} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="stdout"/></root>
</configuration>
`

function javaArgs(options: { dir: string; jars: string; config: string; heapMb: number }): string[] {
  const { dir, jars, config, heapMb } = options
  return [
    `-Xms${Math.min(512, heapMb)}m`,
    `-Xmx${heapMb}m`,
    '-Xss512k',
    '-XX:+ExitOnOutOfMemoryError',
    ...EXPORTS.flatMap((name) => ['--add-exports', `${name}=ALL-UNNAMED`]),
    ...OPENS.flatMap((name) => ['--add-opens', `${name}=ALL-UNNAMED`]),
    '-Djava.security.manager=allow', // from Java 18 on refused without this
    '-Djdk.attach.allowAttachSelf=true',
    '-Dio.netty.tryReflectionSetAccessible=true',
    `-javaagent:${join(jars, 'jamm-0.4.0.jar')}`,
    `-Dcassandra.config=${pathToFileURL(config).href}`,
    `-Dcassandra.storagedir=${join(dir, 'data')}`,
    `-Dlogback.configurationFile=${join(dir, 'logback.xml')}`,
    '-Dcassandra-foreground=yes',
    '-Dcassandra.skip_wait_for_gossip_to_settle=0',
    '-Dcassandra.ring_delay_ms=1',
    '-Dcassandra.superuser_setup_delay_ms=0', // the first user is there as soon as the port, not 10 s later
    '-cp',
    join(jars, '*'),
    'org.apache.cassandra.service.CassandraDaemon',
  ]
}

/** What Cassandra's own start script opens of Java 17's modules (conf/jvm17-server.options). */
const EXPORTS = [
  'java.base/jdk.internal.misc',
  'java.base/java.lang.ref',
  'java.management.rmi/com.sun.jmx.remote.internal.rmi',
  'java.rmi/sun.rmi.registry',
  'java.rmi/sun.rmi.server',
  'java.sql/java.sql',
  'jdk.unsupported/sun.misc',
  'jdk.compiler/com.sun.tools.javac.file',
  'jdk.attach/sun.tools.attach',
]
const OPENS = [
  ...['java.lang.module', 'jdk.internal.loader', 'jdk.internal.ref', 'jdk.internal.reflect', 'jdk.internal.math'],
  ...['jdk.internal.module', 'jdk.internal.util.jar', 'sun.nio.ch', 'java.io', 'java.lang', 'java.lang.reflect'],
  ...['java.util', 'java.nio', 'java.util.concurrent', 'java.util.concurrent.atomic'],
]
  .map((name) => `java.base/${name}`)
  .concat('jdk.management/com.sun.management.internal', 'jdk.compiler/com.sun.tools.javac')

/** OPTIONS of protocol v4: the first thing every driver sends. */
const OPTIONS_REQUEST = Buffer.from('040000000500000000', 'hex')

/** 0x84 = an answer of v4, opcode 0x06 = SUPPORTED. */
function isSupported(answer: Buffer): boolean {
  return answer.length >= 9 && answer[0] === 0x84 && answer[4] === 0x06
}
