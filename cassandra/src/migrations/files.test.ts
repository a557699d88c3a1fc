import { expect, test } from 'vitest'
import { fillIn, splitStatements } from './cql-script.js'
import { parseMigration, readMigrations } from './files.js'
import { cqlMap, placeholders, replicationMap, tradesWindowDays } from './placeholders.js'

test('a script falls into its statements, whatever its comments and texts contain', () => {
  const script = `
    -- a comment; with 'quotes
    CREATE TABLE a (b text) WITH comment = 'semi;colon, it''s -- no comment'; // another; one
    /* and; a
       longer one */ INSERT INTO "odd;name" (b) VALUES ($$raw; 'text'$$);;
    ALTER TABLE a ADD c int
  `
  expect(splitStatements(script)).toEqual([
    `CREATE TABLE a (b text) WITH comment = 'semi;colon, it''s -- no comment'`,
    `INSERT INTO "odd;name" (b) VALUES ($$raw; 'text'$$)`,
    'ALTER TABLE a ADD c int',
  ])
})

test('a placeholder without a value is an error, never an empty text', () => {
  expect(fillIn('USE ${keyspace}', { keyspace: 'market' })).toBe('USE market')
  expect(() => fillIn('USE ${keyspcae}', { keyspace: 'market' })).toThrow('no value for ${keyspcae}')
})

test('the migrations that ship are numbered without gaps, repeatable, and every placeholder has a value', () => {
  const tables = {
    replication: { class: 'SimpleStrategy', factor: 1 },
    tradesTtlDays: 30,
    averagesTtlDays: 90,
  } as const
  const values = placeholders('market', tables)
  const migrations = readMigrations()
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1))
  for (const { statements } of migrations) for (const statement of statements) fillIn(statement, values)
})

test('a statement that cannot be run a second time is refused', () => {
  expect(() => parseMigration('0002-x.cql', 'ALTER TABLE a ADD b int;')).toThrow(
    /needs IF \[NOT\] EXISTS: ALTER TABLE a ADD/,
  )
  expect(() => parseMigration('0002-x.cql', 'ALTER TABLE a ADD IF NOT EXISTS b int;')).not.toThrow()
  expect(() => parseMigration('2-x.cql', '')).toThrow(/named like/)
})

test('line ends do not change a checksum, a changed statement does', () => {
  const unix = parseMigration('0001-x.cql', 'CREATE TABLE IF NOT EXISTS a (b int PRIMARY KEY);\n')
  const windows = parseMigration('0001-x.cql', 'CREATE TABLE IF NOT EXISTS a (b int PRIMARY KEY);\r\n')
  const other = parseMigration('0001-x.cql', 'CREATE TABLE IF NOT EXISTS a (c int PRIMARY KEY);\n')
  expect(windows.checksum).toBe(unix.checksum)
  expect(other.checksum).not.toBe(unix.checksum)
})

test('a TTL has at most 50 windows of compaction', () => {
  for (const ttl of [1, 7, 30, 50, 51, 365, 7300]) expect(ttl / tradesWindowDays(ttl)).toBeLessThanOrEqual(50)
  expect(tradesWindowDays(30)).toBe(1)
  expect(tradesWindowDays(0)).toBe(30)
})

test('replication is written as CQL wants it', () => {
  expect(cqlMap(replicationMap({ class: 'NetworkTopologyStrategy', factors: { dc1: 3, dc2: 2 } }))).toBe(
    `{'class': 'NetworkTopologyStrategy', 'dc1': '3', 'dc2': '2'}`,
  )
})
