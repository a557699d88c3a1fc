import { describe, expect, it } from 'vitest'
import { REGISTRIES } from './metrics-registries.js'
import { hasTool, runTool } from './tools.js'

/** What prom-client tells of Node.js has names of its own, which promtool does not like; they are not ours to change. */
const OURS = Object.entries(REGISTRIES).filter(([process]) => process !== 'Every process')

describe.skipIf(!hasTool('promtool', 'the names of metrics are not checked by promtool'))('promtool', () => {
  it.each(OURS)('finds nothing in the metrics of: %s', async (_process, registry) => {
    expect(runTool('promtool', ['check', 'metrics'], await registry.metrics())).toBe('')
  })
})
