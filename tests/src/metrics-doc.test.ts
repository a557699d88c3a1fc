import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeMetrics, REGISTRIES } from './metrics-registries.js'
import { ROOT } from './tools.js'

interface Row {
  name: string
  type: string
  labels: string[]
}

/** The tables of docs/metrics.md by the headings above them. */
function tables(): Map<string, Row[]> {
  const found = new Map<string, Row[]>()
  for (const section of readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8').split(/^## /m).slice(1)) {
    const rows = [...section.matchAll(/^\| `(\w+)` *\| (\w+) *\| ([^|]*)\| (.+) \|$/gm)]
    found.set(
      section.slice(0, section.indexOf('\n')),
      rows.map(([, name, type, labels]) => ({
        name: name!,
        type: type!,
        labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!),
      })),
    )
  }
  return found
}

const byName = (a: Row, b: Row) => a.name.localeCompare(b.name)

it('docs/metrics.md has a table for every process', () => {
  expect([...tables().keys()]).toEqual(Object.keys(REGISTRIES))
})

describe.each(Object.entries(REGISTRIES))('%s', (process, registry) => {
  const metrics = describeMetrics(registry)

  it('is described with names, types and labels as they are, and nothing else is', () => {
    const real = metrics.map(({ name, type, labels }) => ({ name, type, labels }))
    expect(tables().get(process)!.toSorted(byName)).toEqual(real.toSorted(byName))
  })

  it('has names that begin with candlewick_', () => {
    for (const { name } of metrics) expect(name).toMatch(/^candlewick_[a-z0-9_]+$/)
  })
})

/** What a label may be: as many values as there are topics, partitions, tasks, tables, routes, kinds of errors. */
const BOUNDED = new Set([
  ...['topic', 'partition', 'task', 'table', 'store', 'state', 'route', 'method', 'status'],
  ...['source', 'reason', 'type', 'kind', 'cause', 'stage'],
])
/** Gauges that count things at hand, or say yes or no. */
const WITHOUT_UNIT = new Set(['connected', 'paused', 'tasks', 'ws_clients'])

const ours = Object.entries(REGISTRIES)
  .filter(([process]) => process !== 'Every process')
  .flatMap(([, registry]) => describeMetrics(registry))

describe.each(ours)('$name', ({ name, type, labels, help }) => {
  it('has its unit in its name, a base unit', () => {
    expect(name.endsWith('_total'), 'counters and only they end in _total').toBe(type === 'counter')
    expect(name).not.toMatch(/_(ms|millis|milliseconds|minutes|hours|kb|mb|mib|percent)(_|$)/)
    const plain = name.replace(/^candlewick_[a-z]+_/, '')
    if (type !== 'counter' && !WITHOUT_UNIT.has(plain))
      expect(plain).toMatch(/_(seconds|bytes|records|ratio|records_per_second)$/)
  })

  it('has labels of few values, and a help text', () => {
    expect(labels.filter((label) => !BOUNDED.has(label))).toEqual([])
    expect(help.length).toBeGreaterThan(10)
  })
})
