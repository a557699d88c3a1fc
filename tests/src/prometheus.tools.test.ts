import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { stringify } from 'yaml'
import { startChild, type Child } from '@candlewick/dev/local/child'
import { freePort } from '@candlewick/dev/local/ports'
import { startStack, type Stack } from '@candlewick/dev/stack/start-stack'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { IdempotentProducer } from '@candlewick/streams/kafka/idempotent-producer'
import { alertRules, readYaml, RULES_DIR } from './alerts.js'
import { queriesOf } from './grafana-dashboards.js'
import { exportJmx } from './jmx-exporter.js'
import { hasTool, ROOT } from './tools.js'
import { getJson, until } from './wait.js'

/**
 * Every expression of the Pipeline dashboard and of the alert rules, asked of a real Prometheus that scrapes the whole
 * running system, Kafka's and Cassandra's JVMs included.
 */

const WHAT = 'the expressions of dashboards and alerts are not asked of a Prometheus'
const hasPrometheus = hasTool('prometheus', WHAT) && hasTool('jcmd', WHAT, 'a JDK, not a JRE')

/** Of a label that has no value before something happens that is not made to happen here. */
const ONLY_AFTER_TROUBLE = [
  /candlewick_producer_rejected_total/,
  /candlewick_api_ws_closed_total/,
  /candlewick_streams_restore_remaining_records/,
  /candlewick_streams_late_records_total/,
  /candlewick_streams_dropped_records_total/,
  /candlewick_streams_tasks\{state=~"CREATED\|RESTORING"\}/,
]

let dir = ''
let stack: Stack
let prometheus: Child
let url = ''
let watcher: WebSocket | undefined

beforeAll(async () => {
  if (!hasPrometheus) return
  dir = await mkdtemp(join(tmpdir(), 'candlewick-prometheus-'))
  const exchange = { seed: '5', tradesPerSecond: 200, symbols: 40 }
  stack = await startStack({ dir: join(dir, 'stack'), ports: 'free', processors: 2, restartAfterMs: 1_000, exchange })
  const jvms = { kafka: await jvm('kafka'), cassandra: await jvm('cassandra') }
  await startPrometheus(jvms)
  await makeThingsHappen()
}, 240_000)

afterAll(async () => {
  watcher?.terminate()
  await prometheus?.stop()
  await stack?.stop()
  if (dir !== '') await rm(dir, { recursive: true, force: true })
}, 60_000)

function jvm(name: 'kafka' | 'cassandra'): Promise<string> {
  return exportJmx(name, stack.child(name).pid!, join(dir, 'jmx'))
}

/** The configuration of the compose stack, with the addresses of this one and a scrape a second. */
async function startPrometheus(jvms: { kafka: string; cassandra: string }): Promise<void> {
  const hostOf = (address: string) => new URL(address).host
  const port = await freePort()
  const targets: Record<string, string[]> = {
    'candlewick-producer': [hostOf(stack.urls.producer)],
    'candlewick-processor': stack.urls.processors.map(hostOf),
    'candlewick-query-api': [hostOf(stack.urls.api)],
    'candlewick-kafka': [jvms.kafka],
    'candlewick-cassandra': [jvms.cassandra],
    prometheus: [`127.0.0.1:${port}`],
  }
  const config = readYaml('observability/prometheus/prometheus.yml') as {
    scrape_configs: { job_name: string }[]
  }
  const own = {
    global: { scrape_interval: '1s', evaluation_interval: '2s' },
    rule_files: [join(ROOT, RULES_DIR, '*.yml')],
    scrape_configs: config.scrape_configs.map(({ job_name }) => ({
      job_name,
      static_configs: [{ targets: targets[job_name] }],
    })),
  }
  await mkdir(join(dir, 'prometheus'))
  const file = join(dir, 'prometheus.yml')
  await writeFile(file, stringify(own))
  prometheus = await startChild({
    name: 'prometheus',
    command: 'prometheus',
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(dir, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    logFile: join(dir, 'prometheus.log'),
  })
  url = `http://127.0.0.1:${port}`
  await until('Prometheus to scrape all', async () => {
    const { data } = await getJson<{ data: { result: { value: [number, string] }[] } }>(`${url}/api/v1/query?query=up`)
    const up = data.result.filter(({ value }) => value[1] === '1')
    return up.length === Object.values(targets).flat().length ? true : undefined
  })
}

/** What makes labels appear: somebody who watches and asks, a record nobody can read, a feed that breaks off. */
async function makeThingsHappen(): Promise<void> {
  watcher = new WebSocket(`${stack.urls.api.replace('http', 'ws')}/ws`)
  watcher.on('error', () => undefined)
  watcher.on('open', () => watcher?.send('{"op":"subscribe","channel":"bars","symbols":["*"],"interval":"1m"}'))
  await getJson(`${stack.urls.api}/symbols`)

  const quiet = () => undefined
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const kafka = new KafkaClient({ brokers: [stack.kafkaBrokers], clientId: 'prometheus-test' }, log)
  await kafka.connect()
  await kafka.watchTopics(['trades'])
  const producer = new IdempotentProducer(kafka, { maxBufferedBytes: 1_000_000 })
  await producer.start()
  producer.send('trades', null, Buffer.from('AAPL'), Buffer.from('not avro'), Date.now())
  await producer.flush()
  await producer.close()
  await kafka.close()

  stack.child('exchange').kill('SIGKILL')
}

interface Answer {
  status: string
  error?: string
  data: { result: { metric: Record<string, string>; value: [number, string] }[] }
}

async function ask(expr: string): Promise<Answer> {
  const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`)
  return (await answer.json()) as Answer
}

/** Waits for series with a number in them: what depends on an event needs two scrapes after it. */
async function expectSeries(expr: string): Promise<void> {
  const trouble = ONLY_AFTER_TROUBLE.some((metric) => metric.test(expr))
  const first = await ask(expr)
  expect(first, expr).toMatchObject({ status: 'success' })
  if (trouble) return
  await until(`series of ${expr}`, async () => {
    const { data } = await ask(expr)
    return data.result.some(({ value }) => Number.isFinite(Number(value[1]))) ? true : undefined
  })
}

/** What is joined by `or` fires each by itself; what must be absent is not asked, since all is there. */
function branchesOf(expr: string): string[] {
  return expr.split(/\s+or\s+/).filter((branch) => !branch.startsWith('absent('))
}

describe.skipIf(!hasPrometheus)('Prometheus', () => {
  it.each(queriesOf('pipeline').map(({ panel, target }) => [panel, String(target['expr'])] as const))(
    'has series for the panel %s: %s',
    (_panel, expr) => expectSeries(expr.replaceAll('$__rate_interval', '20s')),
  )

  // Without the thresholds: nothing is wrong here, but what the alert compares must be there.
  it.each(alertRules().flatMap(({ alert, expr }) => branchesOf(expr).map((branch) => [alert, branch] as const)))(
    'has series for the alert %s: %s',
    (_alert, expr) => expectSeries(expr.replaceAll(/ (?:==|>|<) [\d.]+/g, '')),
  )

  it('evaluates every rule without an error', async () => {
    const healthy = async () => {
      const { data } = await getJson<{ data: { groups: { rules: { name: string; health: string }[] }[] } }>(
        `${url}/api/v1/rules`,
      )
      const rules = data.groups.flatMap((group) => group.rules)
      const well = rules.filter(({ health }) => health === 'ok').map(({ name }) => name)
      return well.length === alertRules().length ? well : undefined
    }
    await until('all rules to be evaluated', healthy)
  })

  it('knows the JVMs of Kafka and Cassandra by the names of the dashboard', async () => {
    const { data } = await ask('java_heap_used_bytes')
    expect(data.result.map(({ metric }) => metric['job']).sort()).toEqual(['candlewick-cassandra', 'candlewick-kafka'])
  })
})
