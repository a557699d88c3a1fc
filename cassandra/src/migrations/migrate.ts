import { hostname } from 'node:os'
import type { Client, Host } from 'cassandra-driver'
import type { Log } from '../client.js'
import type { TableOptions } from '../settings.js'
import { fillIn } from './cql-script.js'
import { MigrationError } from './errors.js'
import type { Migration } from './files.js'
import { withMigrationLock } from './lock.js'
import { cqlMap, placeholders, replicationMap } from './placeholders.js'

export interface MigrateOptions {
  keyspace: string
  migrations: readonly Migration[]
  tables: TableOptions
  log: Log
  lock?: { expirySeconds: number; patienceMs: number }
}

/**
 * Brings a keyspace to the current tables. Safe to run again and to run twice at once; a run that dies is repeated:
 * 1. create the keyspace and the two tables of ours that the lock and the versions live in
 * 2. take the lock
 * 3. compare what was applied with the files; refuse if an applied file was changed
 * 4. run each missing migration, statement by statement (all repeatable), then record it: a crash in between repeats it
 * 5. set the TTLs the settings ask for, if they differ
 * @returns names of the migrations applied by this run
 * @throws MigrationError
 */
export async function migrate(client: Client, options: MigrateOptions): Promise<string[]> {
  const { keyspace, log } = options
  const change = schemaChanger(client)
  await createKeyspace(client, change, options)
  await change(`CREATE TABLE IF NOT EXISTS ${keyspace}.schema_migrations (
    version int, name text, checksum text, applied_at timestamp, applied_by text, PRIMARY KEY (version)
  ) WITH comment = 'migrations applied to this keyspace'`)
  await change(`CREATE TABLE IF NOT EXISTS ${keyspace}.schema_lock (
    name text, holder text, PRIMARY KEY (name)
  ) WITH comment = 'held by a running migration; a row expires by itself'`)

  const lock = { expirySeconds: 60, patienceMs: 300_000, ...options.lock, log }
  return withMigrationLock(client, keyspace, lock, async (stillHeld) => {
    const applied = await appliedMigrations(client, keyspace)
    const missing = compare(options.migrations, applied, log)
    const values = placeholders(keyspace, options.tables)
    for (const migration of missing) {
      for (const statement of migration.statements) {
        stillHeld()
        await change(fillIn(statement, values))
      }
      stillHeld()
      await client.execute(
        `INSERT INTO ${keyspace}.schema_migrations (version, name, checksum, applied_at, applied_by) VALUES (?, ?, ?, ?, ?)`,
        [migration.version, migration.name, migration.checksum, new Date(), hostname()],
      )
      log.info({ migration: migration.name, keyspace }, 'migration applied')
    }
    stillHeld()
    await applyTtls(client, change, keyspace, values, log)
    return missing.map((migration) => migration.name)
  })
}

interface Applied {
  name: string
  checksum: string
}

async function appliedMigrations(client: Client, keyspace: string): Promise<Map<number, Applied>> {
  const result = await client.execute(`SELECT version, name, checksum FROM ${keyspace}.schema_migrations`)
  return new Map(
    result.rows.map((row) => [
      row.get('version') as number,
      { name: row.get('name') as string, checksum: row.get('checksum') as string },
    ]),
  )
}

/** What is still to be applied. @throws MigrationError when an applied file has changed since */
function compare(files: readonly Migration[], applied: ReadonlyMap<number, Applied>, log: Log): Migration[] {
  for (const file of files) {
    const before = applied.get(file.version)
    if (before !== undefined && before.checksum !== file.checksum) {
      throw new MigrationError(
        `${file.name} was changed after it had been applied (as ${before.name}, ${before.checksum.slice(0, 12)}, now ` +
          `${file.checksum.slice(0, 12)}): restore it and put the change into a new migration`,
      )
    }
  }
  const newest = Math.max(...applied.keys(), 0)
  if (newest > files.length) {
    log.warn({ newest: applied.get(newest)?.name }, 'the keyspace was migrated by a newer version: left as it is')
  }
  return files.filter((file) => !applied.has(file.version))
}

/**
 * Runs statements that change the schema, all through the same node: one node makes two CREATE ... IF NOT EXISTS one
 * after the other, two nodes could make a table twice with different ids. The driver waits for schema agreement.
 */
function schemaChanger(client: Client): (statement: string) => Promise<void> {
  const host = client.hosts
    .values()
    .filter((candidate: Host) => candidate.isUp())
    .sort((a, b) => (a.address < b.address ? -1 : 1))[0]
  return async (statement) => {
    const result = await client.execute(statement, [], { prepare: false, ...(host && { host }) })
    const { isSchemaInAgreement } = result.info as unknown as { isSchemaInAgreement: boolean }
    if (!isSchemaInAgreement) {
      throw new MigrationError(
        'the nodes do not agree on the schema (is one down?): run the migrations again when they do',
      )
    }
  }
}

async function createKeyspace(
  client: Client,
  change: (statement: string) => Promise<void>,
  { keyspace, tables, log }: MigrateOptions,
): Promise<void> {
  const wanted = replicationMap(tables.replication)
  const found = await client.execute('SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?', [
    keyspace,
  ])
  const row = found.first() as unknown as { replication: Record<string, string> } | null
  if (row === null) {
    await change(`CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ${cqlMap(wanted)}`)
    log.info({ keyspace, replication: wanted }, 'keyspace created')
    return
  }
  const is = Object.fromEntries(
    Object.entries(row.replication).map(([key, value]) => [key, value.replace('org.apache.cassandra.locator.', '')]),
  )
  if (cqlMap(sorted(is)) !== cqlMap(sorted(wanted))) {
    // Not ours to change: rows are on their new replicas only after a repair of every node.
    log.warn(
      { keyspace, is, wanted },
      'the keyspace is replicated otherwise: ALTER KEYSPACE and nodetool repair change that',
    )
  }
}

function sorted(map: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A TTL concerns rows written from now on; rows keep the one they were written with. */
async function applyTtls(
  client: Client,
  change: (statement: string) => Promise<void>,
  keyspace: string,
  values: Record<string, string>,
  log: Log,
): Promise<void> {
  const result = await client.execute(
    'SELECT table_name, default_time_to_live, compaction FROM system_schema.tables WHERE keyspace_name = ?',
    [keyspace],
  )
  for (const row of result.rows as unknown as {
    table_name: string
    default_time_to_live: number
    compaction: Record<string, string>
  }[]) {
    const wanted = { trades: values.trades_ttl_seconds, running_averages: values.averages_ttl_seconds }[row.table_name]
    if (wanted === undefined || Number(wanted) === row.default_time_to_live) continue
    const windows =
      row.table_name === 'trades'
        ? ` AND compaction = ${cqlMap({ ...row.compaction, compaction_window_size: values.trades_window_days! })}`
        : ''
    await change(`ALTER TABLE ${keyspace}.${row.table_name} WITH default_time_to_live = ${wanted}${windows}`)
    log.info({ table: row.table_name, seconds: Number(wanted) }, 'TTL changed')
  }
}
