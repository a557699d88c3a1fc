/** Comments, texts and names in which a semicolon or a comment's beginning means nothing; else one character. */
const TOKEN = /--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$[\s\S]*?\$\$|[\s\S]/g

/**
 * The statements of a CQL script, without comments and without their semicolons.
 * Like cqlsh it knows '...' with '' inside, "...", $$...$$, and the comments --, // and /* ... *\/.
 */
export function splitStatements(script: string): string[] {
  const statements: string[] = []
  let statement = ''
  const end = () => {
    const trimmed = statement.trim()
    if (trimmed !== '') statements.push(trimmed)
    statement = ''
  }
  for (const [token] of script.matchAll(TOKEN)) {
    if (token === ';') end()
    else if (/^(--|\/\/|\/\*)/.test(token)) statement += ' '
    else statement += token
  }
  end()
  return statements
}

/**
 * Puts values in for `${name}`.
 * @throws Error naming a placeholder that has no value
 */
export function fillIn(statement: string, values: Readonly<Record<string, string>>): string {
  return statement.replace(/\$\{(\w+)\}/g, (_match, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`no value for \${${name}}`)
    return value
  })
}
