import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Registry } from 'prom-client'
import type { Logger } from '@candlewick/service/logger'
import { mirrorMetrics } from './metrics-mirror.js'
import type { SinkConfig } from './sink.js'
import type { SinkHealth } from './sink-health.js'
import { SINK_METRIC_NAMES } from './sink/metrics.js'
import type { FromWorker, ToWorker, WorkerInput } from './sink-worker.js'

export { sinkConfig, SINK_SETTINGS } from './sink-settings.js'
export { whyNotReady } from './sink-health.js'
export type { SinkConfig } from './sink.js'
export type { SinkHealth } from './sink-health.js'

/** A sink in a worker thread: its work, its garbage and its crashes stay off the thread that processes trades. */
export interface SinkWorker {
  readonly health: SinkHealth
  /** Told once, when the thread ended without being asked to. `error` is undefined when it ended without one. */
  onExit(listener: (error: Error | undefined) => void): void
  /** Finishes what can be finished within the time, then ends the thread. */
  close(): Promise<void>
}

/** More than a sink ever holds: chunks of 4 partitions, their rows and the requests under way. */
const MAX_HEAP_MB = 512
const CLOSE_TIMEOUT_MS = 10_000
const METRICS_TIMEOUT_MS = 1_000
/** What is built, seen from src/ as from dist/: a thread cannot run TypeScript. */
const WORKER_FILE = new URL('../dist/sink-worker.js', import.meta.url)

/**
 * Starts the sink in a worker thread. It writes its own log lines; its metrics appear in `registry`.
 * @param log its level is the thread's level as well
 */
export function startSinkWorker(config: SinkConfig, log: Logger, registry?: Registry): SinkWorker {
  const input: WorkerInput = { config, logLevel: log.level }
  const worker = new Worker(WORKER_FILE, {
    workerData: input,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    name: 'candlewick-sink',
  })
  const exitListeners: ((error: Error | undefined) => void)[] = []
  const metricsWaiting: ((metrics: FromWorker & { kind: 'metrics' }) => void)[] = []
  let health: SinkHealth = { kind: 'starting' }
  let crash: Error | undefined
  let closed: Promise<void> | undefined

  const exited = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      resolve()
      if (closed !== undefined) return
      health = { kind: 'stopped', reason: crash?.message ?? `exit code ${code}` }
      log.error({ err: crash, code }, 'the sink’s thread ended: nothing reaches Cassandra until it is started again')
      for (const listener of exitListeners) listener(crash)
    })
  })
  worker.on('error', (error) => {
    crash = error instanceof Error ? error : new Error(String(error))
  })
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'health') health = message.health
    else for (const resolve of metricsWaiting.splice(0)) resolve(message)
  })
  const tell = (message: ToWorker) => {
    worker.postMessage(message)
  }
  if (registry !== undefined) {
    mirrorMetrics(registry, SINK_METRIC_NAMES, async () => {
      if (health.kind === 'stopped' || closed !== undefined) return []
      const answer = new Promise<FromWorker & { kind: 'metrics' }>((resolve) => metricsWaiting.push(resolve))
      tell({ kind: 'metrics' })
      const answered = await Promise.race([answer, exited, sleep(METRICS_TIMEOUT_MS, undefined, { ref: false })])
      return answered?.metrics ?? []
    })
  }

  async function close(): Promise<void> {
    tell({ kind: 'close' })
    const timer = setTimeout(() => void worker.terminate(), CLOSE_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
    health = { kind: 'closed' }
  }

  return {
    get health() {
      return health
    },
    onExit: (listener) => exitListeners.push(listener),
    close: () => (closed ??= close()),
  }
}
