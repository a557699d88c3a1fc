import { Registry } from 'prom-client'
import { SinkMetrics } from '@candlewick/cassandra/sink/metrics'
import { ProducerMetrics } from '@candlewick/producer/metrics'
import { createMetrics as createApiMetrics } from '@candlewick/query-api/metrics'
import { createRegistry } from '@candlewick/service/http'
import { createMetrics as createStreamsMetrics } from '@candlewick/streams/metrics'

export interface MetricDescription {
  name: string
  type: string
  labels: string[]
  help: string
}

function withMetrics(add: (registry: Registry) => unknown): Registry {
  const registry = new Registry()
  add(registry)
  return registry
}

/** What each process serves at /metrics, under the headings of docs/metrics.md; the sink's also come with the processors'. */
export const REGISTRIES: Record<string, Registry> = {
  Producer: withMetrics((registry) => new ProducerMetrics(registry, () => 0)),
  Processor: withMetrics(createStreamsMetrics),
  Sink: withMetrics((registry) => new SinkMetrics(registry, () => [])),
  'Query API': withMetrics(createApiMetrics),
  'Every process': createRegistry(),
}

export function describeMetrics(registry: Registry): MetricDescription[] {
  return registry.getMetricsAsArray().map((metric) => {
    const {
      name,
      type,
      help,
      labelNames = [],
    } = metric as unknown as {
      name: string
      type: string
      help: string
      labelNames?: string[]
    }
    return { name, type, labels: [...labelNames], help }
  })
}
