import type { types } from 'cassandra-driver'

/**
 * What the HadesArchitect Cassandra data source (3.3.0) does with a query before and after Cassandra has it, as its sources
 * say: https://github.com/HadesArchitect/GrafanaCassandraDatasource (backend/plugin, backend/cassandra, src/datasource.ts).
 */

/** Values of dashboard variables; several for a variable that takes several. */
export type Variables = Record<string, string | readonly string[]>

/**
 * The text that goes to Cassandra. Grafana fills in the variables: `:sqlstring` puts every value in single quotes (a quote
 * within is doubled), without a format several values are joined by commas. The plugin fills in `$__timeFrom` and
 * `$__timeTo` as epoch ms.
 * @throws when something is left that nobody fills in
 */
export function interpolate(text: string, variables: Variables, range: { fromMs: number; toMs: number }): string {
  const filled = text
    .replaceAll('$__timeFrom', String(range.fromMs))
    .replaceAll('$__timeTo', String(range.toMs))
    .replace(/\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g, (whole, braced?: string, format?: string, plain?: string) => {
      const value = variables[braced ?? plain!]
      if (value === undefined) throw new Error(`nobody fills in ${whole}`)
      const values = typeof value === 'string' ? [value] : value
      if (format === 'sqlstring') return values.map((one) => `'${one.replaceAll("'", "''")}'`).join(',')
      if (format !== undefined) throw new Error(`${whole}: this format is not known here`)
      return values.join(',')
    })
  if (!/^SELECT /i.test(filled)) throw new Error(`the plugin takes only texts that begin with SELECT: ${filled}`)
  return filled
}

/** Codes of CQL types (protocol v4, 4.2.5.2) that the plugin hands to Grafana as they are. */
const NUMBERS = new Map([
  [0x02, 'bigint'],
  [0x05, 'counter'],
  [0x07, 'double'],
  [0x08, 'float'],
  [0x09, 'int'],
  [0x13, 'smallint'],
  [0x14, 'tinyint'],
])
const TEXTS = new Map([
  [0x01, 'ascii'],
  [0x0a, 'text'],
  [0x0d, 'varchar'],
])
const TIMESTAMP = 0x0b

/** What the plugin or the panel would stumble over in an answer; nothing is the only good answer. */
export function faultsOf(result: types.ResultSet, panel: { type: string }): string[] {
  const [id, ...columns] = result.columns
  const faults: string[] = []
  if (id === undefined || !TEXTS.has(id.type.code)) faults.push('the first column names the series: it must be a text')
  const times = columns.filter(({ type }) => type.code === TIMESTAMP)
  const numbers = columns.filter(({ type }) => NUMBERS.has(type.code))
  if (times.length !== 1) faults.push(`${times.length} timestamp columns: one is wanted`)
  if (numbers.length === 0) faults.push('no column with numbers')
  for (const { name, type } of columns) {
    const known = type.code === TIMESTAMP || NUMBERS.has(type.code) || TEXTS.has(type.code)
    if (!known) faults.push(`column ${name} has a type (${type.code}) the plugin refuses or distorts`)
  }
  if (panel.type === 'candlestick') {
    for (const name of ['open', 'high', 'low', 'close', 'volume']) {
      if (!columns.some((column) => column.name === name)) faults.push(`candles need a column ${name}`)
    }
  }
  // gocql's zero value takes the place of a null: a price of 0.
  for (const row of result.rows) {
    for (const { name } of result.columns) if (row.get(name) === null) faults.push(`${name} is null and shown as 0`)
  }
  return [...new Set(faults)]
}

/** One frame for each value of the first column, as the plugin makes them. */
export function framesOf(rows: types.Row[]): Map<string, types.Row[]> {
  const frames = new Map<string, types.Row[]>()
  for (const row of rows) {
    const id = String(row.get(0))
    frames.set(id, [...(frames.get(id) ?? []), row])
  }
  return frames
}
