import { parentPort, workerData } from 'node:worker_threads'
import { Registry, type MetricObjectWithValues, type MetricValue } from 'prom-client'
import { createLogger } from '@candlewick/service/logger'
import { CassandraSink, type SinkConfig } from './sink.js'
import type { SinkHealth } from './sink-health.js'

/** The thread that startSinkWorker() starts. */

export interface WorkerInput {
  config: SinkConfig
  logLevel: string
}
export type ToWorker = { kind: 'metrics' } | { kind: 'close' }
export type FromWorker =
  { kind: 'health'; health: SinkHealth } | { kind: 'metrics'; metrics: MetricObjectWithValues<MetricValue<string>>[] }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread: see sink-thread.ts')

const { config, logLevel } = workerData as WorkerInput
const registry = new Registry()
const tell = (message: FromWorker) => {
  port.postMessage(message)
}
const sink = new CassandraSink(config, {
  log: createLogger('sink', logLevel),
  registry,
  onHealth: (health) => {
    tell({ kind: 'health', health })
  },
})

port.on('message', (message: ToWorker) => {
  if (message.kind === 'metrics') {
    void registry.getMetricsAsJSON().then((metrics) => {
      tell({ kind: 'metrics', metrics })
    })
  } else {
    void sink.close().finally(() => {
      port.close()
    })
  }
})

// A failure is not caught: it ends the thread, and the main thread is told with its error.
await sink.run()
