/** Lays rows out in columns: texts to the left, numbers to the right, undefined as a dash. */
export function table(heading: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const texts = [heading, ...rows].map((row) => row.map((cell) => text(cell)))
  const widths = heading.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)))
  const isNumber = heading.map((_, column) => rows.some((row) => typeof row[column] === 'number'))
  return texts
    .map((row) =>
      row
        .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function text(cell: string | number | undefined): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : (cell ?? '-')
}
