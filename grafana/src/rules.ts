import type { Dashboard, Panel } from '@grafana/schema'

/** What Grafana and its data sources bring themselves. */
const BUILT_IN = new Set(['__rate_interval', '__interval', '__timeFrom', '__timeTo', '__all'])

/** What is wrong with a dashboard; nothing is the only good answer. */
export function faultsOf(dashboard: Dashboard): string[] {
  const panels = (dashboard.panels ?? []) as Panel[]
  const variables = new Set((dashboard.templating?.list ?? []).map(({ name }) => name))
  return [
    ...(dashboard.uid === undefined || dashboard.title === undefined ? ['a uid or a title is missing'] : []),
    ...repeated(panels.map(({ id }) => id)).map((id) => `id ${id} is used twice`),
    ...panels.flatMap((panel) => faultsOfPanel(panel, variables)),
    ...panels.flatMap((panel, index) =>
      panels
        .slice(index + 1)
        .flatMap((other) => (overlap(panel, other) ? [`'${other.title}' lies on '${panel.title}'`] : [])),
    ),
  ]
}

function faultsOfPanel(panel: Panel, variables: ReadonlySet<string>): string[] {
  const { id, title, gridPos } = panel
  if (!title) return [`panel ${id} has no title`]
  const faults: string[] = []
  if (gridPos === undefined || gridPos.x < 0 || gridPos.x + gridPos.w > 24) faults.push('is not within 24 columns')
  if (panel.type !== 'row') {
    if (!panel.description) faults.push('has no description')
    if (!panel.fieldConfig?.defaults.unit) faults.push('has no unit')
    const targets = panel.targets ?? []
    const sources = [panel.datasource, ...targets.map(({ datasource }) => datasource)] as Panel['datasource'][]
    if (sources.some((source) => !/^\$\{\w+\}$/.test(source?.uid ?? '')))
      faults.push('does not ask a data source of a variable')
    if (targets.length === 0) faults.push('asks for nothing')
    for (const twice of repeated(targets.map(({ refId }) => refId))) faults.push(`has two queries ${String(twice)}`)
    for (const name of variablesIn(JSON.stringify([title, sources, targets, panel.repeat]))) {
      if (!variables.has(name) && !BUILT_IN.has(name)) faults.push(`uses $${name}, which is no variable`)
    }
  }
  return faults.map((fault) => `'${title}' ${fault}`)
}

function variablesIn(text: string): string[] {
  return [...text.matchAll(/\$(?:\{(\w+)[^}]*\}|(\w+))/g)].map(([, braced, plain]) => (braced ?? plain)!)
}

function repeated<T>(values: T[]): T[] {
  return values.filter((value, index) => values.indexOf(value) !== index)
}

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  if (a === undefined || b === undefined) return false
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}
