import { readFileSync } from 'node:fs'
import type { Dashboard } from '@grafana/schema'
import { format, resolveConfig } from 'prettier'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CASSANDRA, PROMETHEUS } from './build.js'
import { market } from './market.js'
import { pipeline } from './pipeline.js'
import { faultsOf } from './rules.js'

/** `npm run dashboards` writes the files anew after a change. */
const DASHBOARDS: [name: string, dashboard: Dashboard][] = [
  ['market', market],
  ['pipeline', pipeline],
]

describe.each(DASHBOARDS)('the dashboard %s', (name, dashboard) => {
  it('is what Grafana is given in grafana/dashboards', async () => {
    const path = new URL(`../dashboards/${name}.json`, import.meta.url).pathname
    const json = await format(JSON.stringify(dashboard), { ...(await resolveConfig(path)), filepath: path })
    await expect(json).toMatchFileSnapshot(path)
  })

  it('keeps the rules', () => {
    expect(faultsOf(dashboard)).toEqual([])
  })
})

it('dashboards have uids and titles of their own', () => {
  for (const field of ['uid', 'title'] as const) {
    expect(new Set(DASHBOARDS.map(([, dashboard]) => dashboard[field])).size).toBe(DASHBOARDS.length)
  }
})

it('the data sources of the dashboards are provisioned', () => {
  const file = new URL('../provisioning/datasources/candlewick.yaml', import.meta.url)
  const { datasources } = parse(readFileSync(file, 'utf8')) as { datasources: { type: string; uid: string }[] }
  expect(datasources.map(({ type }) => type).sort()).toEqual([CASSANDRA.type, PROMETHEUS.type].sort())
})

type Loose = Record<string, unknown>

describe('the rules find', () => {
  it.each<[string, (row: Loose, first: Loose, second: Loose) => unknown, string]>([
    ['an id used twice', (_row, first, second) => (second['id'] = first['id']), 'id 2 is used twice'],
    [
      'panels that overlap',
      (_row, first, second) => (second['gridPos'] = first['gridPos']),
      "'Trades in' lies on 'Feed'",
    ],
    [
      'a panel outside of the grid',
      (_row, first) => (first['gridPos'] = { x: 22, y: 90, w: 4, h: 4 }),
      "'Feed' is not within 24 columns",
    ],
    ['a missing unit', (_row, first) => (first['fieldConfig'] = { defaults: {} }), "'Feed' has no unit"],
    ['a missing description', (_row, first) => (first['description'] = ''), "'Feed' has no description"],
    ['a missing title', (row) => (row['title'] = ''), 'panel 1 has no title'],
    [
      'a fixed data source',
      (_row, first) => (first['datasource'] = { type: 'prometheus', uid: 'abc' }),
      "'Feed' does not ask a data source of a variable",
    ],
    [
      'an undefined variable',
      (_row, first) => (first['targets'] = [{ refId: 'A', expr: 'up{job="$nothing"}' }]),
      "'Feed' uses $nothing, which is no variable",
    ],
  ])('%s', (_what, breakIt, fault) => {
    const broken = structuredClone(pipeline)
    const [row, first, second] = broken.panels as unknown as Loose[]
    breakIt(row!, first!, second!)
    expect(faultsOf(broken)).toContain(fault)
  })
})
