import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { findComposeCommand } from './compose-stack.js'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const hasHadolint = await run('hadolint', ['--version']).then(
  () => true,
  () => false,
)
const compose = await findComposeCommand()
if (!hasHadolint) process.stdout.write('the Dockerfiles are not linted: hadolint is not there\n')
if (compose === undefined) process.stdout.write('docker-compose.yaml is not read: docker compose is not there\n')

describe.skipIf(!hasHadolint)('hadolint', () => {
  it('finds nothing in the Dockerfiles', async () => {
    const { stdout } = await run('hadolint', ['Dockerfile', 'observability/jmx/Dockerfile'], { cwd: ROOT })
    expect(stdout).toBe('')
  })
})

interface Service {
  environment?: Record<string, string | null>
  mem_limit?: string
  cap_drop?: string[]
  ports?: { host_ip: string }[]
}

/** What compose makes of the file, all profiles, with these settings and no .env. */
async function services(env: Record<string, string>): Promise<[string, Service][]> {
  const [command, ...first] = compose as [string, ...string[]]
  const args = [...first, '--env-file', '/dev/null', '--profile', '*', 'config', '--format', 'json']
  const { stdout } = await run(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  return Object.entries((JSON.parse(stdout) as { services: Record<string, Service> }).services)
}

describe.skipIf(compose === undefined)('docker-compose.yaml', () => {
  it('takes trades from Finnhub with a key and from the exchange without one, and gives the key to the producer alone', async () => {
    const feed = (all: [string, Service][]) => all.find(([name]) => name === 'producer')![1].environment!['FINNHUB_URL']
    expect(feed(await services({}))).toBe('ws://exchange:8081')
    expect(feed(await services({ FINNHUB_API_KEY: '' }))).toBe('ws://exchange:8081')
    const withKey = await services({ FINNHUB_API_KEY: 'a-key' })
    expect(feed(withKey)).toBe('wss://ws.finnhub.io/?token=a-key')
    expect(withKey.filter(([, service]) => JSON.stringify(service).includes('a-key')).map(([name]) => name)).toEqual([
      'producer',
    ])
  })

  it('confines every service: no capabilities, a memory limit, ports for this machine alone', async () => {
    for (const [name, { cap_drop, mem_limit, ports = [] }] of await services({})) {
      expect({ name, cap_drop, limited: Number(mem_limit) > 0 }).toEqual({ name, cap_drop: ['ALL'], limited: true })
      for (const { host_ip } of ports) expect(host_ip).toBe('127.0.0.1')
    }
  })
})
