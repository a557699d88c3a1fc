import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ComposeStack, findCompose } from './compose-stack.js'
import { compareWithOracle, type Comparison } from './oracle/compare.js'
import { getJson, until } from './wait.js'

const found = await findCompose()
if ('missing' in found) process.stdout.write(`docker compose is not tested: ${found.missing}\n`)

/** More than a minute of trading, so that it goes on while a processor is killed, and an end that can be compared. */
const TRADES = 20_000
const SETTINGS = { EXCHANGE_TOTAL: String(TRADES), TRADES_PER_SECOND: '200' }

interface Average {
  count: number
  source: { instance: string; role: string }
}
interface Tasks {
  instances: { instance: string; tasks: { status: string }[] }[]
}

describe.skipIf('missing' in found)('docker compose', () => {
  let stack: ComposeStack
  const apple = () => getJson<Average>(`${stack.system.api}/symbols/AAPL/avg`)
  const took = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const startMs = performance.now()
    const result = await work
    process.stdout.write(`${what}: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`)
    return result
  }

  beforeAll(async () => {
    stack = await ComposeStack.create(found as readonly string[], SETTINGS)
    // One after the other: they share stages, which two builds at a time would both run.
    const build = async () => {
      for (const service of ['migrate', 'processor-1', 'producer', 'query-api', 'exchange']) {
        await stack.compose('build', service)
      }
    }
    await took('images built', build())
  }, 1_200_000)

  afterAll(async () => {
    await stack.compose('--profile', '*', 'down', '--volumes', '--timeout', '10')
  }, 120_000)

  it('brings the whole core up healthy, in order, without waiting by the clock', async () => {
    await took('core up', stack.compose('up', '--detach', '--wait', '--wait-timeout', '280', '--no-build'))
    const services = (await stack.compose('ps', '--services', '--status', 'running')).trim().split('\n').sort()
    const core = ['cassandra', 'exchange', 'kafka', 'processor-1', 'processor-2', 'producer', 'query-api']
    expect(services).toEqual(core)
  }, 300_000)

  it('runs our processes as PID 1 of a user without rights on a root that cannot be written', async () => {
    for (const service of ['exchange', 'producer', 'processor-1', 'query-api']) {
      const format = '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.Cmd}}'
      const inspected = await stack.docker('inspect', '--format', format, await stack.container(service))
      expect(inspected).toMatch(/^1000:1000 true \[ALL\] \[node \S+main\.js\]/)
      const first = await stack.compose('exec', '-T', service, 'cat', '/proc/1/cmdline')
      expect(first).toMatch(/^node\0\S+main\.js\0$/)
    }
  }, 60_000)

  it('answers with averages that move', async () => {
    const { count } = await until('AAPL to be traded', apple)
    await until('the average of AAPL to move', async () => {
      return (await apple()).count > count ? true : undefined
    })
  }, 120_000)

  it('tells about the producer and each processor on ports of this machine', async () => {
    const { producer, processors } = stack.system
    expect((await fetch(`${producer}/gaps`)).status).toBe(200)
    for (const url of [producer, ...processors]) expect((await fetch(`${url}/metrics`)).status).toBe(200)
    for (const url of processors) expect((await fetch(`${url}/tasks`)).status).toBe(200)
  })

  it('goes on when a processor is killed, and takes it back with its state', async () => {
    const { source } = await apple()
    expect(source.instance).toMatch(/^processor-[12]$/)
    const killed = source.instance
    await stack.docker('kill', await stack.container(killed))

    const { count } = await took(`AAPL answered after the kill of ${killed}`, until('an answer by the other', apple))
    const moved = async () => {
      const now = await apple()
      return now.count > count && now.source.instance !== killed ? true : undefined
    }
    await took('AAPL processed again', until('AAPL to move in the other processor', moved))

    await stack.compose('up', '--detach', '--wait', '--wait-timeout', '100', '--no-build', killed)
    const returned = async () => {
      const { instances } = await getJson<Tasks>(`${stack.system.api}/tasks`)
      const own = instances.find(({ instance }) => instance === killed)?.tasks ?? []
      return own.some(({ status }) => status === 'RUNNING') ? true : undefined
    }
    await took(`${killed} has tasks again`, until('tasks of the killed processor', returned))
  }, 240_000)

  it('has lost and doubled nothing in the end', async () => {
    let last: Comparison | undefined
    const equal = async () => {
      last = await compareWithOracle(stack.system)
      return last.trades >= TRADES && last.differences.length === 0 ? last : undefined
    }
    await until('everything to equal the independent fold', equal, { timeoutMs: 150_000, everyMs: 1_000 }).catch(
      () => {},
    )
    expect(last).toMatchObject({ trades: TRADES, differences: [] })
  }, 180_000)

  it('ends in order on SIGTERM', async () => {
    await took('stopped', stack.compose('stop', 'producer', 'query-api', 'processor-1', 'processor-2', 'exchange'))
    for (const service of ['exchange', 'producer', 'processor-1', 'processor-2', 'query-api']) {
      const code = await stack.docker('inspect', '--format', '{{.State.ExitCode}}', await stack.container(service))
      expect(`${service} ${code.trim()}`).toBe(`${service} 0`)
    }
  }, 90_000)

  it('leaves nothing after down --volumes', async () => {
    expect(await stack.remains()).not.toEqual([])
    await took('down', stack.compose('--profile', '*', 'down', '--volumes', '--timeout', '30'))
    expect(await stack.remains()).toEqual([])
  }, 120_000)
})
