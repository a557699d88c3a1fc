import { join } from 'node:path'
import { StartError } from '@candlewick/service/process'
import { startCassandra } from '../local/cassandra-server.js'
import { describeExit, startChild, type Child } from '../local/child.js'
import { startKafka } from '../local/kafka-server.js'
import { ROOT } from '../local/paths.js'
import { waitReady } from '../local/ready.js'
import { reachable, type Part } from './plan.js'

export interface LaunchOptions {
  dir: string
  logFile: string
  env: NodeJS.ProcessEnv
  heapMb: { kafka: number; cassandra: number }
  signal: AbortSignal
  log: (line: string) => void
  /** Told as soon as the process exists, long before it answers. */
  onStarted: (child: Child) => void
}

/** After this a part that the stack is up without is left to itself. */
const OPTIONAL_TIMEOUT_MS = 30_000
/** How often a line says what a slow start waits for. */
const PATIENCE_MS = 15_000

/**
 * Starts a part and waits until it answers; a job until it has ended.
 * @throws StartError when it cannot be started, ends before it is up, or `signal` gives it up; nothing of it is left then
 */
export async function launch(part: Part, options: LaunchOptions): Promise<void> {
  const { dir, logFile, env, heapMb, signal, log, onStarted } = options
  const server = { dir: join(dir, part.name), logFile, env, signal, log, onStarted }
  switch (part.kind) {
    case 'kafka':
      await startKafka({ ...server, port: part.port!, heapMb: heapMb.kafka })
      return
    case 'cassandra':
      await startCassandra({ ...server, nativePort: part.port!, heapMb: heapMb.cassandra })
      return
    case 'service':
      return launchService(part, options)
    case 'job':
      return runJob(part, options)
  }
}

function startNode(part: Part, { logFile, env }: LaunchOptions): Promise<Child> {
  const command = process.execPath
  return startChild({ name: part.name, command, args: [join(ROOT, part.main!)], env: { ...env, ...part.env }, logFile })
}

async function runJob(part: Part, options: LaunchOptions): Promise<void> {
  const child = await startNode(part, options)
  options.onStarted(child)
  const giveUp = () => child.kill('SIGTERM')
  options.signal.addEventListener('abort', giveUp)
  const exit = await child.exited
  options.signal.removeEventListener('abort', giveUp)
  if (exit.code !== 0) throw new StartError(whyItEnded(child))
}

async function launchService(part: Part, options: LaunchOptions): Promise<void> {
  const child = await startNode(part, options)
  options.onStarted(child)
  const readyUrl = `${serviceUrl(part)}/readyz`
  let reason: string | undefined
  let saidAtMs = performance.now()
  const startedMs = saidAtMs

  async function probe(): Promise<boolean> {
    reason = await whyNotReady(readyUrl)
    if (reason === undefined) return true
    const nowMs = performance.now()
    if (part.optional && nowMs - startedMs > OPTIONAL_TIMEOUT_MS) {
      options.log(`${part.name} is not ready (${reason}); it goes on trying, its log: ${child.logFile}`)
      return true
    }
    if (nowMs - saidAtMs > PATIENCE_MS) {
      saidAtMs = nowMs
      options.log(`${part.name} is not ready yet: ${reason}`)
    }
    return false
  }

  try {
    await waitReady(child, probe, { signal: options.signal })
  } catch (error) {
    const ended = child.exit
    await child.stop({ timeoutMs: 5_000 })
    options.signal.throwIfAborted()
    throw ended === undefined ? error : new StartError(whyItEnded(child), { cause: error })
  }
}

/** Where a service answers, for others on this machine. */
export function serviceUrl({ host, port }: Part): string {
  return `http://${reachable(host)}:${port}`
}

/**
 * What GET /readyz says.
 * @returns undefined when the service is ready
 */
export async function whyNotReady(url: string, timeoutMs = 2_000): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    const { reason } = (await answer.json()) as { reason?: string }
    return answer.ok ? undefined : (reason ?? `answers ${answer.status}`)
  } catch {
    return NO_ANSWER
  }
}

/** What {@link whyNotReady} says when there was no answer at all: dead, stuck, or not listening yet. */
export const NO_ANSWER = 'it does not answer'

/**
 * What a child said at its end, in one line if it can be: our processes exit with 1 when a setting or a prerequisite is
 * wrong, and their last line, which is no log line, says which; when they break, they log it as fatal.
 */
function whyItEnded(child: Child): string {
  const lines = child.lastLines(20).filter((line) => line !== '')
  const told = child.exit?.code === 1 ? lines.findLast((line) => !line.startsWith('{')) : undefined
  if (told !== undefined) return told
  const ended = `${child.name} ended at its start (${child.exit === undefined ? 'still there' : describeExit(child.exit)})`
  const fatal = lines.map(fatalMessage).findLast((message) => message !== undefined)
  if (fatal !== undefined) return `${ended}: ${fatal}; log: ${child.logFile}`
  const shown = lines.slice(-12).map((line) => line.slice(0, MAX_SHOWN_CHARACTERS))
  return `${ended}; log: ${child.logFile}. Its last lines:\n${shown.join('\n')}`
}

const MAX_SHOWN_CHARACTERS = 300

function fatalMessage(line: string): string | undefined {
  if (!line.startsWith('{"level":"fatal"')) return undefined
  try {
    const { msg, err } = JSON.parse(line) as { msg: string; err?: { message: string } }
    return err === undefined ? msg : `${msg}: ${err.message}`
  } catch {
    return undefined
  }
}
