import {
  FieldColorModeId,
  MappingType,
  ThresholdsMode,
  type Dashboard,
  type DataSourceRef,
  type DataTransformerConfig,
  type Panel,
  type ValueMap,
  type VariableModel,
} from '@grafana/schema'

/** A panel as the dashboards describe it; ids and places follow from the order. */
export interface PanelSpec {
  type: 'timeseries' | 'stat' | 'table' | 'candlestick'
  title: string
  /** What it shows and how to read it, for who meets it for the first time. */
  description: string
  /** Grafana's name of the unit, https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit */
  unit: string
  /** Of 24 columns. */
  width: number
  height?: number
  targets: Target[]
  /** How lines are drawn: GraphFieldConfig of @grafana/schema. */
  custom?: Record<string, unknown>
  options?: Record<string, unknown>
  decimals?: number
  min?: number
  max?: number
  /** Turns red from here on. */
  redFrom?: number
  /** Turns red below this. */
  redBelow?: number
  mappings?: Record<string, string>
  /** Units of single fields, by their name. */
  units?: Record<string, string>
  transformations?: DataTransformerConfig[]
  /** One panel for each value of this variable. */
  repeat?: string
}

export type Target = PrometheusTarget | CassandraTarget

interface PrometheusTarget {
  kind: 'prometheus'
  expr: string
  legend: string
}

interface CassandraTarget {
  kind: 'cassandra'
  cql: string
  /** May name columns: `{{ symbol }}`. All numbers of the query get this name: a query with several has none. */
  alias?: string
}

export interface Section {
  title: string
  panels: PanelSpec[]
}

/** The dashboards find their data sources by a variable, so that they fit into any Grafana. */
export const CASSANDRA: DataSourceRef = { type: 'hadesarchitect-cassandra-datasource', uid: '${cassandra}' }
export const PROMETHEUS: DataSourceRef = { type: 'prometheus', uid: '${prometheus}' }

export function promql(expr: string, legend = ''): Target {
  return { kind: 'prometheus', expr, legend }
}

/** Written over several lines, sent as one: the plugin takes only texts that begin with `SELECT `. */
export function cql(text: string, alias?: string): Target {
  return { kind: 'cassandra', cql: text.trim().replace(/\s+/g, ' '), ...(alias !== undefined && { alias }) }
}

/** The variable by which the data source can be picked. */
export function dataSourceVariable(name: string, label: string, { type }: DataSourceRef): VariableModel {
  return { type: 'datasource', name, label, query: type!, current: { text: label, value: name }, hide: 0 }
}

/** Sections from top to bottom; panels fill a section's rows of 24 columns from left to right. */
export function dashboard(
  options: Pick<Dashboard, 'uid' | 'title' | 'description' | 'refresh' | 'time' | 'timepicker'> & {
    variables: VariableModel[]
    sections: Section[]
  },
): Dashboard {
  const { variables, sections, ...rest } = options
  let id = 0
  let y = 0
  const panels = sections.flatMap(({ title, panels }) => {
    const row = {
      type: 'row' as const,
      id: ++id,
      title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
      panels: [],
    }
    let x = 0
    let rowHeight = 0
    const placed = panels.map((spec) => {
      const { width, height = 8 } = spec
      if (x + width > 24) {
        x = 0
        y += rowHeight
        rowHeight = 0
      }
      const gridPos = { x, y, w: width, h: height }
      x += width
      rowHeight = Math.max(rowHeight, height)
      return { ...panel(spec), id: ++id, gridPos }
    })
    y += rowHeight
    return [row, ...placed]
  })
  return {
    ...rest,
    schemaVersion: 41,
    tags: ['candlewick'],
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    links: [
      {
        type: 'dashboards',
        title: 'Candlewick',
        tags: ['candlewick'],
        asDropdown: false,
        icon: 'external link',
        includeVars: false,
        keepTime: true,
        targetBlank: false,
        tooltip: '',
        url: '',
      },
    ],
    templating: { list: variables },
    panels,
  }
}

const LEGEND = { displayMode: 'list', placement: 'bottom', showLegend: true }

const DEFAULT_OPTIONS: Record<PanelSpec['type'], Record<string, unknown>> = {
  timeseries: { legend: LEGEND, tooltip: { mode: 'multi', sort: 'desc' } },
  stat: { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: 'value', graphMode: 'area' },
  table: { showHeader: true, cellHeight: 'sm' },
  candlestick: {
    mode: 'candles+volume',
    candleStyle: 'candles',
    colorStrategy: 'open-close',
    legend: { showLegend: false },
  },
}

function panel(spec: PanelSpec): Omit<Panel, 'id' | 'gridPos'> {
  const { type, title, description, unit, targets, custom, options, decimals, min, max, transformations, repeat } = spec
  const lines = { drawStyle: 'line', lineWidth: 1, fillOpacity: 10, showPoints: 'never', spanNulls: false }
  return {
    type,
    title,
    description,
    datasource: targets[0]!.kind === 'cassandra' ? CASSANDRA : PROMETHEUS,
    fieldConfig: {
      defaults: {
        unit,
        ...(decimals !== undefined && { decimals }),
        ...(min !== undefined && { min }),
        ...(max !== undefined && { max }),
        ...thresholds(spec),
        ...(spec.mappings !== undefined && { mappings: valueMappings(spec.mappings) }),
        ...(type === 'timeseries' && { custom: { ...lines, ...custom } }),
      },
      overrides: Object.entries(spec.units ?? {}).map(([field, unit]) => ({
        matcher: { id: 'byName', options: field },
        properties: [{ id: 'unit', value: unit }],
      })),
    },
    options: { ...DEFAULT_OPTIONS[type], ...options },
    targets: targets.map((target, index) => ({ refId: String.fromCharCode(65 + index), ...query(target) })),
    ...(transformations !== undefined && { transformations }),
    ...(repeat !== undefined && { repeat, repeatDirection: 'h', maxPerRow: 2 }),
  }
}

function query(target: Target): Record<string, unknown> {
  if (target.kind === 'prometheus') {
    return { datasource: PROMETHEUS, expr: target.expr, legendFormat: target.legend, editorMode: 'code', range: true }
  }
  // `datasourceId` is not needed since the plugin's 2.0; rawQuery: its form cannot ask for tables of several key columns.
  const alias = target.alias === undefined ? {} : { alias: target.alias }
  return { datasource: CASSANDRA, queryType: 'query', rawQuery: true, target: target.cql, ...alias }
}

function thresholds({ redFrom, redBelow }: PanelSpec) {
  if (redFrom === undefined && redBelow === undefined) return {}
  const [first, then] = redFrom !== undefined ? ['green', 'red'] : ['red', 'green']
  const steps = [
    { color: first!, value: null },
    { color: then!, value: (redFrom ?? redBelow)! },
  ]
  return { color: { mode: FieldColorModeId.Thresholds }, thresholds: { mode: ThresholdsMode.Absolute, steps } }
}

function valueMappings(texts: Record<string, string>): ValueMap[] {
  const options = Object.fromEntries(Object.entries(texts).map(([value, text], index) => [value, { text, index }]))
  return [{ type: MappingType.ValueToText, options }]
}
