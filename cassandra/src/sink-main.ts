import { addMonitoring, createHttpServer, createRegistry, listen } from '@candlewick/service/http'
import { runProcess } from '@candlewick/service/process'
import { port } from '@candlewick/service/settings'
import { CassandraSink } from './sink.js'
import { sinkConfig, SINK_SETTINGS } from './sink-settings.js'
import { whyNotReady } from './sink-health.js'

runProcess({
  name: 'sink',
  summary: 'carries the topics trades, averages and bars into Cassandra',
  settings: { ...SINK_SETTINGS, SINK_PORT: port({ default: 8090, desc: 'port of /healthz, /readyz and /metrics' }) },
  checks: [sinkConfig],
  async run({ settings, log, onClose, fail }) {
    const registry = createRegistry()
    const sink = new CassandraSink(sinkConfig(settings), { log, registry })
    const app = createHttpServer(log)
    addMonitoring(app, { registry, ready: () => whyNotReady(sink.health) })
    onClose('http', () => app.close())
    await listen(app, { host: settings.HOST, port: settings.SINK_PORT, setting: 'SINK_PORT' })
    onClose('sink', () => sink.close())
    sink.run().catch(fail)
  },
})
