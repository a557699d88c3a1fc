import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readYaml } from './alerts.js'
import { ROOT } from './tools.js'

/** Ports of this machine that docker-compose.yaml opens without a setting: the default in '127.0.0.1:${NAME:-port}:port'. */
function publishedPorts(): Set<string> {
  const { services } = readYaml('docker-compose.yaml') as { services: Record<string, { ports?: string[] }> }
  const published = Object.values(services).flatMap(({ ports = [] }) => ports)
  return new Set(published.map((port) => /^127\.0\.0\.1:\$\{\w+:-(\d+)\}:\d+$/.exec(port)?.[1] ?? `unread: ${port}`))
}

it('every port that the runbook asks is one that docker compose publishes', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')
  const asked = [...runbook.matchAll(/\b(?:localhost|127\.0\.0\.1):(\d+)/g)].map(([, port]) => port!)
  expect(asked.length).toBeGreaterThan(10)
  const published = publishedPorts()
  expect([...new Set(asked)].filter((port) => !published.has(port))).toEqual([])
})

it('docker compose publishes no port twice', () => {
  const { services } = readYaml('docker-compose.yaml') as { services: Record<string, { ports?: string[] }> }
  expect(publishedPorts().size).toBe(Object.values(services).flatMap(({ ports = [] }) => ports).length)
})
