import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client'

type Metric = MetricObjectWithValues<MetricValue<string>>

/** Part of what prom-client asks of a metric when it is read; all a mirrored one has. */
interface ReadableMetric {
  name: string
  get(): Promise<Partial<Metric>>
  reset(): void
}

/**
 * Shows metrics that live in another thread in a registry of this one.
 * @param names every metric the other thread has; prom-client wants them beforehand
 * @param fetch asks the other thread for all of them; called once per reading of the registry
 */
export function mirrorMetrics(registry: Registry, names: readonly string[], fetch: () => Promise<Metric[]>): void {
  let reading: Promise<Metric[]> | undefined
  const read = () => {
    reading ??= fetch().finally(() => {
      reading = undefined
    })
    return reading
  }
  for (const name of names) {
    const metric: ReadableMetric = {
      name,
      get: async () => (await read()).find((candidate) => candidate.name === name) ?? unknown(name),
      reset: () => undefined,
    }
    // A sink that is started again takes the place of the one before it.
    registry.removeSingleMetric(name)
    registry.registerMetric(metric as never)
  }
}

/** The other thread does not answer: no values, rather than old ones. */
function unknown(name: string): Partial<Metric> {
  return { name, help: 'unknown for now', type: 'untyped' as never, values: [] }
}
