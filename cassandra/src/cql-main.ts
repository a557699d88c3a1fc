#!/usr/bin/env node
import { readSettings, SettingsError } from '@candlewick/service/settings'
import { createClient, whyNotConnected } from './client.js'
import { cassandraConfig, CASSANDRA_SETTINGS } from './settings.js'

const USAGE = `npm run cql -- "SELECT ..."

Hands one statement to Cassandra and prints its rows, 100 at most, where there is no cqlsh. Where Cassandra is, the settings
say (the environment or .env): by default the one of npm start. cassandra/schema.cql explains the tables.

  npm run cql -- "SELECT ts, price, volume FROM market.trades WHERE symbol = 'AAPL' AND day = '2026-11-20' LIMIT 5"`

const MOST_ROWS = 100

async function ask(statement: string): Promise<void> {
  const config = cassandraConfig(readSettings(CASSANDRA_SETTINGS))
  const client = createClient(config, { queryOptions: { prepare: false, fetchSize: MOST_ROWS } })
  try {
    await client.connect().catch((error: unknown) => {
      throw new Error(`Cassandra at ${config.contactPoints.join(', ')}: ${whyNotConnected(error)}`, { cause: error })
    })
    const { rows } = await client.execute(statement)
    if (rows === undefined) return console.log('done') // a statement without an answer
    const shown = rows.map((row) => Object.fromEntries(row.keys().map((name) => [name, plain(row[name])])))
    console.table(shown)
    if (rows.length === MOST_ROWS) console.log(`the first ${MOST_ROWS}; there may be more`)
  } finally {
    await client.shutdown()
  }
}

/** Numbers as they are, everything else as its text: times in UTC, lists and maps as JSON. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Date) return value.toISOString()
  const isPlainObject = typeof value === 'object' && value !== null && value.toString === Object.prototype.toString
  if (isPlainObject || Array.isArray(value)) return JSON.stringify(value)
  return typeof value === 'object' && value !== null ? String(value) : value
}

const [statement, ...others] = process.argv.slice(2)
if (statement === undefined || statement.startsWith('-') || others.length > 0) {
  console.log(USAGE)
  process.exitCode = statement === '--help' ? 0 : 1
} else {
  await ask(statement).catch((error: Error) => {
    console.error(error instanceof SettingsError ? error.message : `${error.name}: ${error.message}`)
    process.exitCode = 1
  })
}
