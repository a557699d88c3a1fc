import { runProcess, StartError } from '@candlewick/service/process'
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
  settings: { ...CASSANDRA_SETTINGS, ...MIGRATION_SETTINGS },
  async run({ settings, log, onClose }) {
    const config = cassandraConfig(settings)
    const client = createClient(
      { ...config, consistency: 'QUORUM' },
      { socketOptions: { readTimeout: SCHEMA_TIMEOUT_MS } },
    )
    onClose('cassandra', () => client.shutdown())
    try {
      await client.connect()
    } catch (error) {
      throw new StartError(`Cassandra at ${config.contactPoints.join(', ')}: ${whyNotConnected(error)}`, { cause: error })
    }
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
