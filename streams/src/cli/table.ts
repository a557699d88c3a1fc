type Cell = string | number | null

/** Lays rows out in columns: texts to the left, numbers to the right, null as a dash. Empty for no rows. */
export function table(heading: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  if (rows.length === 0) return []
  const texts = [heading, ...rows].map((row) => row.map(text))
  const widths = heading.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)))
  const isNumber = heading.map((_, column) => rows.some((row) => typeof row[column] === 'number'))
  const pad = (cell: string, column: number) =>
    isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
  return texts.map((row) => row.map(pad).join('  ').trimEnd())
}

function text(cell: Cell): string {
  if (cell === null) return '-'
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : cell
}
