import { readFileSync } from 'node:fs'

/** A query of a panel, as Grafana reads it from the JSON. */
export interface DashboardQuery {
  panel: string
  panelType: string
  target: Record<string, unknown>
}

interface DashboardJson {
  panels: { title: string; type: string; targets?: Record<string, unknown>[] }[]
  templating: { list: { name: string; type: string; query?: unknown }[] }
}

function readDashboard(name: 'market' | 'pipeline'): DashboardJson {
  return JSON.parse(
    readFileSync(new URL(`../../grafana/dashboards/${name}.json`, import.meta.url), 'utf8'),
  ) as DashboardJson
}

export function queriesOf(name: 'market' | 'pipeline'): DashboardQuery[] {
  return readDashboard(name).panels.flatMap(({ title, type, targets = [] }) =>
    targets.map((target) => ({ panel: title, panelType: type, target })),
  )
}

/** Variables that ask a data source for their values, with what they ask. */
export function variableQueriesOf(name: 'market' | 'pipeline'): { name: string; text: string }[] {
  return readDashboard(name)
    .templating.list.filter(({ type }) => type === 'query')
    .map(({ name, query }) => ({ name, text: (query as { query: string }).query }))
}
