import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '@candlewick/dev/local/ports'
import { ROOT, runTool } from './tools.js'

/** The version of the image observability/jmx builds. */
const VERSION = /JMX_EXPORTER_VERSION=(\S+)/.exec(readFileSync(join(ROOT, 'observability/jmx/Dockerfile'), 'utf8'))![1]!

/**
 * Loads the JMX exporter into a JVM that runs, with the rules of observability/jmx. In the images it runs beside the JVM
 * and reads the same beans by JMX; the rules and what comes out are the same.
 * @param dir for its jar and its configuration
 * @returns where it answers, host:port
 */
export async function exportJmx(server: 'kafka' | 'cassandra', pid: number, dir: string): Promise<string> {
  await mkdir(dir, { recursive: true })
  const artifact = `io.prometheus.jmx:jmx_prometheus_javaagent:${VERSION}`
  runTool('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${dir}`])
  const rules = readFileSync(join(ROOT, `observability/jmx/${server}.yml`), 'utf8').replace(/^hostPort:.*\n/m, '')
  const config = join(dir, `${server}.yml`)
  await writeFile(config, rules)
  const port = await freePort()
  const jar = join(dir, `jmx_prometheus_javaagent-${VERSION}.jar`)
  runTool('jcmd', [String(pid), 'JVMTI.agent_load', jar, `"127.0.0.1:${port}:${config}"`])
  return `127.0.0.1:${port}`
}
