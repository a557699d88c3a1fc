import { readFileSync } from 'node:fs'
import type { Client } from 'cassandra-driver'
import { afterEach, expect, inject, test } from 'vitest'
import { createClient } from '../client.js'
import { DEFAULT_TABLES, emptyKeyspace, recordingLog, type TestKeyspace } from '../testing/keyspace.js'
import { splitStatements } from './cql-script.js'
import { MigrationError } from './errors.js'
import { parseMigration, readMigrations } from './files.js'
import { migrate, type MigrateOptions } from './migrate.js'

const made: TestKeyspace[] = []

async function keyspace(): Promise<TestKeyspace> {
  const created = await emptyKeyspace(inject('cassandra'))
  made.push(created)
  return created
}

afterEach(async () => {
  await Promise.all(made.splice(0).map((each) => each.drop()))
})

function optionsFor(test: TestKeyspace, changes: Partial<MigrateOptions> = {}): MigrateOptions {
  return {
    keyspace: test.keyspace,
    migrations: readMigrations(),
    tables: DEFAULT_TABLES,
    log: recordingLog(),
    lock: { expirySeconds: 3, patienceMs: 60_000 },
    ...changes,
  }
}

/** Everything Cassandra knows about the tables of a keyspace, apart from their ids. */
async function describe(client: Client, name: string): Promise<unknown> {
  const rows = async (table: string) => {
    const { rows } = await client.execute(`SELECT * FROM system_schema.${table} WHERE keyspace_name = ?`, [name])
    return rows.map((row) => {
      const { keyspace_name: _keyspace, id: _id, ...rest } = { ...row } as Record<string, unknown>
      return rest
    })
  }
  return { keyspace: await rows('keyspaces'), tables: await rows('tables'), columns: await rows('columns') }
}

test('schema.cql says the same as the migrations do', async () => {
  const byMigrations = await keyspace()
  await migrate(byMigrations.client, optionsFor(byMigrations))
  const bySchema = await keyspace()
  const schema = readFileSync(new URL('../../schema.cql', import.meta.url), 'utf8')
  for (const statement of splitStatements(schema)) {
    await bySchema.client.execute(statement.replace(/\bmarket\b/, bySchema.keyspace), [], { prepare: false })
  }
  const expected = await describe(bySchema.client, bySchema.keyspace)
  expect(await describe(byMigrations.client, byMigrations.keyspace)).toEqual(expected)
  expect((expected as { tables: unknown[] }).tables).toHaveLength(6)
})

test('a second run changes nothing', async () => {
  const { client, ...rest } = await keyspace()
  expect(await migrate(client, optionsFor({ client, ...rest }))).toEqual(['0001-tables.cql'])
  const before = await describe(client, rest.keyspace)
  expect(await migrate(client, optionsFor({ client, ...rest }))).toEqual([])
  expect(await describe(client, rest.keyspace)).toEqual(before)
})

test('runs at the same time apply each migration once', async () => {
  const target = await keyspace()
  const clients = [1, 2, 3].map(() => createClient(target.config, { socketOptions: { readTimeout: 60_000 } }))
  try {
    await Promise.all(clients.map((client) => client.connect()))
    const applied = await Promise.all(clients.map((client) => migrate(client, optionsFor(target))))
    expect(applied.flat()).toEqual(['0001-tables.cql'])
  } finally {
    await Promise.all(clients.map((client) => client.shutdown()))
  }
})

test('the lock of a run that died expires, and the next run finishes its work', async () => {
  const target = await keyspace()
  const broken = parseMigration('0001-tables.cql', 'CREATE TABLE IF NOT EXISTS ${keyspace}.half (a int PRIMARY KEY);')
  await migrate(target.client, optionsFor(target, { migrations: [] }))
  await target.client.execute(
    `INSERT INTO ${target.keyspace}.schema_lock (name, holder) VALUES ('migrations', 'a run that died') USING TTL 2`,
  )
  const log = recordingLog()
  expect(await migrate(target.client, optionsFor(target, { migrations: [broken], log }))).toEqual(['0001-tables.cql'])
  expect(log.lines).toContain('another migration run is at work: waiting for it')
})

test('a run that cannot get the lock in time says who holds it', async () => {
  const target = await keyspace()
  await migrate(target.client, optionsFor(target, { migrations: [] }))
  await target.client.execute(
    `INSERT INTO ${target.keyspace}.schema_lock (name, holder) VALUES ('migrations', 'somebody else')`,
  )
  const impatient = optionsFor(target, { lock: { expirySeconds: 3, patienceMs: 0 } })
  await expect(migrate(target.client, impatient)).rejects.toThrow(/somebody else/)
})

test('a run whose lock was taken over stops before its next step', async () => {
  const target = await keyspace()
  await migrate(target.client, optionsFor(target, { migrations: [] }))
  const slow = Array.from(
    { length: 40 },
    (_, index) => `CREATE TABLE IF NOT EXISTS \${keyspace}.t${index} (a int PRIMARY KEY)`,
  )
  const running = migrate(
    target.client,
    optionsFor(target, {
      migrations: [parseMigration('0001-tables.cql', slow.join(';\n'))],
      lock: { expirySeconds: 1, patienceMs: 0 },
    }),
  )
  const outcome = expect(running).rejects.toThrow(/took the lock over; run the migrations again/)
  await expect
    .poll(async () => (await target.client.execute(`SELECT holder FROM ${target.keyspace}.schema_lock`)).rowLength, {
      timeout: 10_000,
    })
    .toBe(1)
  await target.client.execute(
    `UPDATE ${target.keyspace}.schema_lock SET holder = 'a thief' WHERE name = 'migrations' IF EXISTS`,
  )
  await outcome
  const { rows } = await target.client.execute(`SELECT * FROM ${target.keyspace}.schema_migrations`)
  expect(rows).toEqual([])
})

test('a migration that was changed after it was applied is refused, by name and with what to do', async () => {
  const target = await keyspace()
  const [original] = readMigrations()
  await migrate(target.client, optionsFor(target))
  const changed = { ...original!, checksum: 'f'.repeat(64) }
  const error = await migrate(target.client, optionsFor(target, { migrations: [changed] })).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(MigrationError)
  expect((error as Error).message).toMatch(/0001-tables\.cql was changed .* put the change into a new migration/)
})

test('a keyspace of a newer version is left as it is', async () => {
  const target = await keyspace()
  await migrate(target.client, optionsFor(target))
  const log = recordingLog()
  expect(await migrate(target.client, optionsFor(target, { migrations: [], log }))).toEqual([])
  expect(log.lines).toContain('the keyspace was migrated by a newer version: left as it is')
})

test('a changed TTL setting is applied to the tables that are there', async () => {
  const target = await keyspace()
  await migrate(target.client, optionsFor(target))
  await migrate(
    target.client,
    optionsFor(target, { tables: { ...DEFAULT_TABLES, tradesTtlDays: 365, averagesTtlDays: 0 } }),
  )
  const { rows } = await target.client.execute(
    'SELECT table_name, default_time_to_live, compaction FROM system_schema.tables WHERE keyspace_name = ?',
    [target.keyspace],
  )
  const tables = new Map(rows.map((row) => [row.get('table_name') as string, row]))
  expect(tables.get('trades')?.get('default_time_to_live')).toBe(365 * 86_400)
  expect(tables.get('trades')?.get('compaction')).toMatchObject({ compaction_window_size: '8' })
  expect(tables.get('running_averages')?.get('default_time_to_live')).toBe(0)
})

test('a replication that differs from the setting is told and not changed', async () => {
  const target = await keyspace()
  await migrate(target.client, optionsFor(target))
  const log = recordingLog()
  const tables = {
    ...DEFAULT_TABLES,
    replication: { class: 'NetworkTopologyStrategy', factors: { datacenter1: 1 } },
  } as const
  await migrate(target.client, optionsFor(target, { tables, log }))
  expect(log.lines.join()).toMatch(/replicated otherwise/)
  const { rows } = await target.client.execute(
    'SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?',
    [target.keyspace],
  )
  expect(rows[0]?.get('replication')).toMatchObject({ class: 'org.apache.cassandra.locator.SimpleStrategy' })
})
