import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { loadImages, Release, whyNoCluster, type Pod } from './cluster.js'
import { VERSION } from './helm.js'
import { compareWithOracle, type Comparison } from './oracle/compare.js'
import { getJson, until } from './wait.js'

const missing = await whyNoCluster()
if (missing !== undefined) process.stdout.write(`the chart is not installed: ${missing}\n`)

/** Minutes of trading, so that it goes on while everything below happens, and an end that can be compared. */
const TRADES = 20_000
const ALL_THREE = ['candlewick-processor-0', 'candlewick-processor-1', 'candlewick-processor-2']
const CHANGELOGS = ['candlewick-averages-changelog', 'candlewick-minutes-changelog']

interface Tasks {
  instances: { instance: string; tasks?: { status: string; partition: number }[] }[]
}

async function took<T>(what: string, work: Promise<T>): Promise<T> {
  const startMs = performance.now()
  const result = await work
  process.stdout.write(`${what}: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`)
  return result
}

describe.skipIf(missing !== undefined)('the chart on a cluster', () => {
  const release = new Release(`candlewick-test-${randomBytes(3).toString('hex')}`, { 'exchange.total': String(TRADES) })
  let api = ''
  let exchange = ''
  let cassandra = ''

  const counted = async () => {
    const { symbols } = await getJson<{ symbols: { average: { count: number } }[] }>(`${api}/symbols`)
    return symbols.reduce((sum, { average }) => sum + average.count, 0)
  }
  /** Instance -> partitions it works on. */
  const owners = async () => {
    const { instances } = await getJson<Tasks>(`${api}/tasks`)
    return new Map(
      instances.map(({ instance, tasks = [] }) => {
        const running = tasks.filter(({ status }) => status === 'RUNNING')
        return [instance, running.map(({ partition }) => partition)] as const
      }),
    )
  }
  /** Until these processors, and no others, share all 12 partitions. */
  const shared = (...names: string[]) =>
    until(`${names.join(', ')} to share the work`, async () => {
      const now = await owners()
      const busy = [...now].filter(([, partitions]) => partitions.length > 0)
      const all = busy.flatMap(([, partitions]) => partitions).sort((a, b) => a - b)
      const fits =
        busy
          .map(([name]) => name)
          .sort()
          .join() === names.join()
      return fits && all.join() === Array.from({ length: 12 }, (_, at) => at).join() ? now : undefined
    })
  const metric = async (pod: string, name: string) => {
    const where = await release.forward(`pod/${pod}`, 8083)
    const text = await (await fetch(`http://${where}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  }

  /** How many records a full restore of these partitions would read. */
  async function changelogRecords(partitions: readonly number[]): Promise<number> {
    const client = new KafkaClient(
      { brokers: ['localhost:19092'], clientId: 'cluster-test' },
      createLogger('test', 'silent'),
    )
    try {
      await client.connect()
      const admin = new KafkaAdmin(client)
      const ends = await Promise.all(
        CHANGELOGS.map((topic) => admin.listOffsets(topic, partitions, 'latest', 'read_committed')),
      )
      return ends.flatMap((offsets) => [...offsets.values()]).reduce((sum, offset) => sum + offset, 0)
    } finally {
      await client.close()
    }
  }

  beforeAll(async () => {
    await took('images loaded', loadImages(VERSION))
    await release.createNamespace()
  }, 600_000)

  afterAll(async () => {
    await release.close()
    await release.helm('uninstall', 'candlewick', '--ignore-not-found', '--wait')
    await release.kubectl('delete', 'namespace', release.namespace, '--wait=false')
  }, 300_000)

  it('is up by one command: Kafka, Cassandra, topics, tables, the exchange and all processes', async () => {
    await took('helm install --wait --wait-for-jobs', release.install())
    const pods = await release.list<Pod>('pods')
    for (const { metadata, status } of pods) {
      const restarts = (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0)
      process.stdout.write(`  ${metadata.name} ${status.phase}, ${restarts} restarts\n`)
    }
    const jobs = pods.filter(({ metadata }) => /-(topics|migrate)-/.test(metadata.name))
    expect(jobs.map(({ status }) => status.phase)).toEqual(['Succeeded', 'Succeeded'])
  }, 360_000)

  it('passes helm test', async () => {
    expect(await took('helm test', release.helm('test', 'candlewick', '--logs'))).toContain('ok: a WebSocket gets them')
  }, 200_000)

  it('lets trades flow', async () => {
    api = `http://${await release.forward('service/candlewick-query-api', 8080)}`
    exchange = `http://${await release.forward('service/candlewick-exchange', 8081)}`
    cassandra = await release.forward('service/candlewick-cassandra', 9042)
    await release.forward('service/candlewick-kafka', 19092, 19092)
    const before = await until('trades to be counted', async () => (await counted()) || undefined)
    await until('more trades', async () => ((await counted()) > before ? true : undefined))
    await shared('candlewick-processor-0', 'candlewick-processor-1')
  }, 120_000)

  it('moves partitions to a third processor', async () => {
    await took('helm upgrade --set processor.replicas=3', release.upgrade({ 'processor.replicas': '3' }))
    const now = await took('  until it has its share', shared(...ALL_THREE))
    expect([...now.values()].map((partitions) => partitions.length)).toEqual([4, 4, 4])
  }, 420_000)

  it('gives a killed processor its tasks and its state back: only the tail is replayed', async () => {
    const name = 'candlewick-processor-2'
    const before = (await owners()).get(name)!
    // The second signal ends it at once: nothing is committed or closed, the group is not left.
    const crash = "process.kill(1, 'SIGTERM'); process.kill(1, 'SIGINT')"
    await release.kubectl('exec', name, '--', 'node', '--eval', crash)
    const restarted = async () => {
      const [status] = (await release.pod(name))?.status.containerStatuses ?? []
      return status !== undefined && status.restartCount > 0 && status.ready ? true : undefined
    }
    await took('a killed processor is back', until(`${name} to be back`, restarted))
    const now = await took('  until it has its share', shared(...ALL_THREE))
    expect(now.get(name)).toEqual(before)

    const whole = await changelogRecords(before)
    const restored = await metric(name, 'candlewick_streams_restored_records_total')
    process.stdout.write(`  replayed ${restored} of ${whole} changelog records\n`)
    expect(restored).toBeLessThan(whole / 4)
  }, 180_000)

  it('makes a deleted pod again, with its volume', async () => {
    const name = 'candlewick-processor-0'
    const before = await release.pod(name)
    // It may come back with other tasks than it had, so how much it replays does not tell whether the volume is the same.
    const uid = before!.metadata.uid
    const inPod = (script: string) => release.kubectl('exec', name, '--', 'node', '--eval', script)
    await inPod(`fs.writeFileSync('/var/lib/candlewick/marker', '${uid}')`)
    await release.kubectl('delete', 'pod', name, '--grace-period=0', '--force')
    const back = async () => {
      const now = await release.pod(name)
      const isNew = now !== undefined && now.metadata.uid !== uid
      return isNew && now.status.containerStatuses?.every(({ ready }) => ready) ? now : undefined
    }
    const now = await took('a deleted pod is back', until(`${name} to be back`, back))
    const claim = (pod: Pod) => pod.spec.volumes.find(({ name }) => name === 'state')?.persistentVolumeClaim?.claimName
    expect(claim(now)).toBe('state-candlewick-processor-0')
    const kept = await inPod(`process.stdout.write(fs.readFileSync('/var/lib/candlewick/marker', 'utf8'))`)
    expect(kept).toBe(uid)
    await took('  until it has its share', shared(...ALL_THREE))
    const restored = await metric(name, 'candlewick_streams_restored_records_total')
    process.stdout.write(`  replayed ${restored} changelog records\n`)
  }, 180_000)

  it('goes back to two processors by helm rollback', async () => {
    await took('helm rollback', release.helm('rollback', 'candlewick', '1', '--wait', '--timeout', '5m'))
    await took('  until two share the work', shared('candlewick-processor-0', 'candlewick-processor-1'))
  }, 420_000)

  it('has lost and doubled nothing: the end equals an independent fold, to the bit', async () => {
    await until(
      'the exchange to have sent all',
      async () => ((await getJson<{ done: boolean }>(`${exchange}/status`)).done ? true : undefined),
      { timeoutMs: 300_000 },
    )
    const [host, port] = cassandra.split(':')
    const system = {
      kafkaBrokers: 'localhost:19092',
      cassandra: { host: host!, port: Number(port) },
      keyspace: 'market',
      api,
    }
    let last: Comparison | undefined
    await until(
      'everything to equal the fold',
      async () => {
        last = await compareWithOracle(system)
        return last.trades >= TRADES && last.differences.length === 0 ? true : undefined
      },
      { timeoutMs: 120_000, everyMs: 1_000 },
    ).catch(() => undefined)
    expect(last?.differences).toEqual([])
    expect(last?.trades).toBe(TRADES)
    process.stdout.write(`${last!.trades} trades, ${last!.bars} bars, ${last!.cassandraRows} rows: no difference\n`)
  }, 480_000)

  it('leaves nothing when it is uninstalled', async () => {
    await release.close()
    await took('helm uninstall', release.helm('uninstall', 'candlewick', '--wait'))
    const kinds = 'all,persistentvolumeclaims,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets'
    await until('everything to be gone', async () => {
      const left = await release.list<Pod>(kinds)
      if (left.length > 0) throw new Error(`left: ${left.map(({ metadata }) => metadata.name).join(', ')}`)
      return true
    })
  }, 180_000)
})
