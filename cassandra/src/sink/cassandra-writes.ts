import type { Client, QueryOptions } from 'cassandra-driver'
import { insertInto, type TableName } from './tables.js'
import type { Write } from './plan.js'

const TABLES: readonly TableName[] = ['trades', 'bars', 'running_averages', 'latest']

/**
 * Sends writes by prepared statements: one row by itself, several rows of a partition as one unlogged batch, which
 * a replica applies as one mutation. Both are idempotent: keys and write times come from the records.
 */
export function cassandraWrites(client: () => Promise<Client>, keyspace: string): (write: Write) => Promise<void> {
  const statements = Object.fromEntries(TABLES.map((table) => [table, insertInto(keyspace, table)])) as Record<
    TableName,
    string
  >
  return async ({ table, rows }) => {
    const query = statements[table]
    const first = rows[0]!
    const options: QueryOptions = {
      prepare: true,
      isIdempotent: true,
      keyspace,
      routingKey: first.partition.length === 1 ? first.partition[0]! : [...first.partition],
    }
    const connected = await client()
    if (rows.length === 1) {
      await connected.execute(query, [...first.values], options)
    } else {
      await connected.batch(
        rows.map((row) => ({ query, params: [...row.values] })),
        { ...options, logged: false },
      )
    }
  }
}
