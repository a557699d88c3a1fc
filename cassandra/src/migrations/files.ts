import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MigrationError } from './errors.js'
import { splitStatements } from './cql-script.js'

export interface Migration {
  version: number
  /** The file's name, e.g. `0001-tables.cql`. */
  name: string
  /** SHA-256 of the file as it stands, line ends aside. */
  checksum: string
  statements: readonly string[]
}

/** The folder that comes with this package; the same one seen from src/ and from dist/. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('../../migrations/', import.meta.url))

/**
 * The migrations of a folder in their order.
 * @throws MigrationError for a file that is not named like 0001-what.cql, a number used twice or left out, and a
 *   statement that could not be run a second time
 */
export function readMigrations(dir = MIGRATIONS_DIR): Migration[] {
  const migrations = readdirSync(dir)
    .filter((name) => name.endsWith('.cql'))
    .sort()
    .map((name) => parseMigration(name, readFileSync(`${dir}/${name}`, 'utf8')))
  migrations.forEach(({ version, name }, index) => {
    if (version !== index + 1) {
      throw new MigrationError(`${name}: expected number ${index + 1} here; numbers go 1, 2, 3 without gap or repeat`)
    }
  })
  return migrations
}

/** @throws MigrationError */
export function parseMigration(name: string, content: string): Migration {
  const match = /^(\d{4})-[a-z0-9-]+\.cql$/.exec(name)
  if (match === null) throw new MigrationError(`${name}: a migration is named like 0002-what-it-does.cql`)
  const text = content.replaceAll('\r\n', '\n')
  const statements = splitStatements(text)
  for (const statement of statements) {
    if (!isRepeatable(statement)) {
      throw new MigrationError(
        `${name}: a run may die half way and is then repeated, so this needs IF [NOT] EXISTS: ${statement.slice(0, 60)}...`,
      )
    }
  }
  return {
    version: Number(match[1]),
    name,
    checksum: createHash('sha256').update(text).digest('hex'),
    statements,
  }
}

/** Whether running it twice is the same as running it once. ALTER ... WITH sets options and is. */
function isRepeatable(statement: string): boolean {
  return /\bIF\s+(NOT\s+)?EXISTS\b/i.test(statement) || /^ALTER\s+TABLE\s+\S+\s+WITH\b/i.test(statement)
}
