import { randomBytes } from 'node:crypto'
import type { Client } from 'cassandra-driver'
import { createClient, type Log } from '../client.js'
import { readMigrations } from '../migrations/files.js'
import { migrate } from '../migrations/migrate.js'
import type { CassandraConfig, TableOptions } from '../settings.js'

export const DEFAULT_TABLES: TableOptions = {
  replication: { class: 'SimpleStrategy', factor: 1 },
  tradesTtlDays: 30,
  averagesTtlDays: 90,
}

/** A keyspace of a test's own on a real Cassandra. */
export interface TestKeyspace {
  config: CassandraConfig
  keyspace: string
  client: Client
  drop(): Promise<void>
}

/** Keeps lines instead of writing them. */
export function recordingLog(): Log & { lines: string[]; debug(): void } {
  const lines: string[] = []
  const add = (_fields: object, message: string) => lines.push(message)
  return { lines, debug: () => undefined, info: add, warn: add, error: add }
}

/** A name nobody else has; nothing is made. */
export async function emptyKeyspace(server: { host: string; port: number }): Promise<TestKeyspace> {
  const keyspace = `cassandra_${randomBytes(6).toString('hex')}`
  const config: CassandraConfig = {
    contactPoints: [`${server.host}:${server.port}`],
    port: server.port,
    keyspace,
    localDataCenter: 'datacenter1',
    consistency: 'LOCAL_QUORUM',
  }
  const client = createClient(config, { socketOptions: { readTimeout: 60_000 } })
  await client.connect()
  return {
    config,
    keyspace,
    client,
    async drop() {
      await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`, [], { prepare: false })
      await client.shutdown()
    },
  }
}

/** With the current tables in it. */
export async function migratedKeyspace(server: { host: string; port: number }): Promise<TestKeyspace> {
  const created = await emptyKeyspace(server)
  await migrate(created.client, {
    keyspace: created.keyspace,
    migrations: readMigrations(),
    tables: DEFAULT_TABLES,
    log: recordingLog(),
  })
  return created
}
