import { runProcess, StartError } from '@candlewick/service/process'
import { tryFor, WAITING_SETTINGS } from '@candlewick/service/try-for'
import { createClient, whyNotConnected } from './client.js'
import { MigrationError } from './migrations/errors.js'
import { readMigrations } from './migrations/files.js'
import { migrate } from './migrations/migrate.js'
import { cassandraConfig, CASSANDRA_SETTINGS, MIGRATION_SETTINGS, tableOptions } from './settings.js'

/** Schema changes wait for all nodes to agree. */
const SCHEMA_TIMEOUT_MS = 60_000

runProcess({
  name: 'migrate',
  summary: 'creates the keyspace and brings its tables to the current version',
  kind: 'job',
  settings: { ...CASSANDRA_SETTINGS, ...MIGRATION_SETTINGS, ...WAITING_SETTINGS },
  checks: [cassandraConfig],
  async run({ settings, log, onClose }) {
    const config = cassandraConfig(settings)
    // A client that failed to connect is thrown away.
    async function connect() {
      const client = createClient(
        { ...config, consistency: 'QUORUM' },
        { socketOptions: { readTimeout: SCHEMA_TIMEOUT_MS } },
      )
      try {
        await client.connect()
        return client
      } catch (error) {
        await client.shutdown().catch(() => undefined)
        const reason = whyNotConnected(error)
        throw new StartError(`Cassandra at ${config.contactPoints.join(', ')}: ${reason}`, { cause: error })
      }
    }
    const client = await tryFor(settings.WAIT_FOR_SERVER_S, connect, { log })
    onClose('cassandra', () => client.shutdown())
    try {
      const keyspace = config.keyspace
      const applied = await migrate(client, {
        keyspace,
        migrations: readMigrations(),
        tables: tableOptions(settings),
        log,
      })
      log.info({ keyspace, applied }, applied.length === 0 ? 'the tables are current' : 'the tables are current now')
    } catch (error) {
      if (error instanceof MigrationError) throw new StartError(error.message, { cause: error })
      throw error
    }
  },
})
