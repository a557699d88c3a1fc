import { makeValidator } from 'envalid'
import { bool, integer, list, port, str, type Settings } from '@candlewick/service/settings'
import { readTls, type TlsTexts } from '@candlewick/service/tls-files'

/** A name that CQL takes without quotes: lower case, at most 48 characters. */
const keyspaceName = makeValidator<string>((input) => {
  if (!/^[a-z][a-z0-9_]{0,47}$/.test(input)) {
    throw new TypeError('must be 1 to 48 of a-z, 0-9 and _, and begin with a letter')
  }
  return input
})

const CONSISTENCIES = ['ONE', 'TWO', 'THREE', 'QUORUM', 'ALL', 'LOCAL_QUORUM', 'EACH_QUORUM', 'LOCAL_ONE'] as const
export type ConsistencyName = (typeof CONSISTENCIES)[number]

/** Where Cassandra is and how to get in: the same for the sink, the reader and the migrations. */
export const CASSANDRA_SETTINGS = {
  CASSANDRA_CONTACT_POINTS: list({ default: ['127.0.0.1'], desc: 'host or host:port of nodes, comma separated' }),
  CASSANDRA_PORT: port({ default: 9042, desc: 'port of contact points that name none' }),
  CASSANDRA_KEYSPACE: keyspaceName({ default: 'market', desc: 'keyspace of the tables' }),
  CASSANDRA_LOCAL_DATACENTER: str({ default: 'datacenter1', desc: 'the data center to talk to' }),
  CASSANDRA_USERNAME: str({ default: '', desc: 'user for Cassandra; empty = no login' }),
  CASSANDRA_PASSWORD: str({ default: '', desc: 'password for Cassandra' }),
  CASSANDRA_SSL: bool({ default: false, desc: 'speak TLS to Cassandra' }),
  CASSANDRA_SSL_CA_FILE: str({ default: '', desc: 'PEM file of the authority that signed the nodes’ certificates' }),
  CASSANDRA_SSL_CERT_FILE: str({ default: '', desc: 'PEM file of our own certificate, for nodes that ask for one' }),
  CASSANDRA_SSL_KEY_FILE: str({ default: '', desc: 'PEM file of its private key' }),
  CASSANDRA_CONSISTENCY: str({
    choices: CONSISTENCIES,
    default: 'LOCAL_QUORUM',
    desc: 'how many replicas answer for a write or a read to count',
  }),
}

/** Plain data, so that it can be handed to a worker thread. Never log it: it holds the password and the private key. */
export interface CassandraConfig {
  contactPoints: readonly string[]
  port: number
  keyspace: string
  localDataCenter: string
  login?: { username: string; password: string }
  tls?: TlsTexts
  consistency: ConsistencyName
}

/**
 * The settings as our clients take them.
 * @throws SettingsError for files of TLS that cannot be used
 */
export function cassandraConfig(settings: Settings<typeof CASSANDRA_SETTINGS>): CassandraConfig {
  const tls = readTls('CASSANDRA', {
    on: settings.CASSANDRA_SSL,
    caFile: settings.CASSANDRA_SSL_CA_FILE,
    certFile: settings.CASSANDRA_SSL_CERT_FILE,
    keyFile: settings.CASSANDRA_SSL_KEY_FILE,
  })
  return {
    contactPoints: settings.CASSANDRA_CONTACT_POINTS,
    port: settings.CASSANDRA_PORT,
    keyspace: settings.CASSANDRA_KEYSPACE,
    localDataCenter: settings.CASSANDRA_LOCAL_DATACENTER,
    ...(settings.CASSANDRA_USERNAME !== '' && {
      login: { username: settings.CASSANDRA_USERNAME, password: settings.CASSANDRA_PASSWORD },
    }),
    ...(tls !== undefined && { tls }),
    consistency: settings.CASSANDRA_CONSISTENCY,
  }
}

/** How the rows are replicated. */
export type Replication =
  { class: 'SimpleStrategy'; factor: number } | { class: 'NetworkTopologyStrategy'; factors: Record<string, number> }

/** `1`, or factors by data center like `dc1:3,dc2:3`. @throws TypeError */
export function parseReplication(input: string): Replication {
  if (/^[1-9]\d?$/.test(input)) return { class: 'SimpleStrategy', factor: Number(input) }
  const factors: Record<string, number> = {}
  for (const part of input.split(',')) {
    const match = /^\s*([\w.-]+)\s*:\s*([1-9]\d?)\s*$/.exec(part)
    if (match === null) throw new TypeError('must be a number (one data center) or like dc1:3,dc2:3')
    factors[match[1]!] = Number(match[2])
  }
  return { class: 'NetworkTopologyStrategy', factors }
}

/** Stays the text it was, so that `--help` can show its default. */
const replication = makeValidator<string>((input) => {
  parseReplication(input)
  return input
})

/** What only the migrations need. */
export const MIGRATION_SETTINGS = {
  CASSANDRA_REPLICATION: replication({
    default: '1',
    desc: 'copies of a row: a number for one node or data center, or like dc1:3,dc2:3',
  }),
  TRADES_TTL_DAYS: integer(0, 7300)({ default: 30, desc: 'days a trade is kept, 0 = for ever' }),
  AVERAGES_TTL_DAYS: integer(0, 7300)({ default: 90, desc: 'days a row of running averages is kept, 0 = for ever' }),
}

/** What the migrations fill into the tables. */
export interface TableOptions {
  replication: Replication
  tradesTtlDays: number
  averagesTtlDays: number
}

export function tableOptions(settings: Settings<typeof MIGRATION_SETTINGS>): TableOptions {
  return {
    replication: parseReplication(settings.CASSANDRA_REPLICATION),
    tradesTtlDays: settings.TRADES_TTL_DAYS,
    averagesTtlDays: settings.AVERAGES_TTL_DAYS,
  }
}
