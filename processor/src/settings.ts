import { hostname } from 'node:os'
import { KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { StartError, type COMMON_SETTINGS } from '@candlewick/service/process'
import { integer, port, str, type Settings } from '@candlewick/service/settings'
import { engineFactory, ENGINES, type EngineFactory } from '@candlewick/streams'
import { barWindows, type BarWindows } from './topology.js'

const TOPIC_PREFIX = str({ default: '', desc: 'put before the names of the topics' })

/** What a processor needs; that of its sink comes on top (cassandra/src/sink-settings.ts). */
export const PROCESSOR_SETTINGS = {
  ...KAFKA_SETTINGS,
  PROCESSOR_PORT: port({ default: 8083, desc: 'port of queries, /healthz, /readyz, /metrics and /tasks' }),
  ADVERTISED_URL: str({
    default: '',
    desc: 'URL at which the query API reaches this processor; empty = http://HOST:PROCESSOR_PORT',
  }),
  APPLICATION_ID: str({ default: 'candlewick', desc: 'name of the application: its group, changelogs and state' }),
  INSTANCE_ID: str({
    default: '',
    desc: 'stable name of this process; empty = made at the first start and kept in STATE_DIR',
  }),
  STATE_DIR: str({ default: 'state', desc: 'directory of the local stores, one per process' }),
  STATE_ENGINE: str({
    choices: [...ENGINES],
    default: 'leveldb',
    desc: 'leveldb, rocksdb (needs npm install @nxtedition/rocksdb) or memory (restored at each start)',
  }),
  TOPIC_PREFIX,
  COMMIT_INTERVAL_MS: integer(
    20,
    60_000,
  )({ default: 100, desc: 'results are committed and visible after this long at most' }),
  COMMIT_RECORDS: integer(1, 1_000_000)({ default: 20_000, desc: '... and after so many trades' }),
  GUARANTEE: str({
    choices: ['exactly-once', 'at-least-once'],
    default: 'exactly-once',
    desc: 'at-least-once = without transactions: a crash may count some trades again',
  }),
  STANDBY_REPLICAS: integer(
    0,
    10,
  )({ default: 1, desc: 'copies of each state that other processors keep warm: they answer and take over at once' }),
  CACHE_MB: integer(1, 1_048_576)({ default: 128, desc: 'MiB for the live objects of all stores of the process' }),
  SESSION_TIMEOUT_MS: integer(
    6_000,
    300_000,
  )({ default: 10_000, desc: 'after this long without a sign of life others take over' }),
  REPLICATION_FACTOR: integer(0, 100)({ default: 0, desc: 'copies of the changelog topics; 0 = as the brokers say' }),
  DAY_TIME_ZONE: str({
    default: 'UTC',
    desc: 'time zone of 1d bars, e.g. America/New_York; fixed once there is state',
  }),
  SINK: str({
    choices: ['inside', 'off'],
    default: 'inside',
    desc: 'inside = this process also fills Cassandra, in a thread of its own',
  }),
  INTERNAL_TOKEN: str({ default: '', desc: 'what the query API must send to ask; empty = nothing' }),
}

export type ProcessorSettings = Settings<typeof PROCESSOR_SETTINGS & typeof COMMON_SETTINGS>

export const CREATE_TOPICS_SETTINGS = {
  ...KAFKA_SETTINGS,
  TOPIC_PREFIX,
  TRADES_PARTITIONS: integer(1, 1_000)({ default: 12, desc: 'partitions of every topic; never changed later' }),
  REPLICATION_FACTOR: integer(1, 100)({ default: 1, desc: 'copies of every topic' }),
}

/** @throws StartError for a time zone that does not exist or whose days are not made of whole hours */
export function readBarWindows({ DAY_TIME_ZONE: timeZone }: Pick<ProcessorSettings, 'DAY_TIME_ZONE'>): BarWindows {
  try {
    return barWindows(timeZone)
  } catch (error) {
    throw new StartError(`DAY_TIME_ZONE: ${(error as Error).message}`, { cause: error })
  }
}

/** @throws StartError when the engine's package is missing */
export function stateEngine({ STATE_ENGINE: name }: Pick<ProcessorSettings, 'STATE_ENGINE'>): EngineFactory {
  try {
    return engineFactory(name)
  } catch (error) {
    throw new StartError(`STATE_ENGINE: ${(error as Error).message}`, { cause: error })
  }
}

const EVERY_ADDRESS = ['0.0.0.0', '::']

/** Where others reach this process. Listening on every address, it gives the name of the machine. */
export function advertisedUrl(settings: Pick<ProcessorSettings, 'ADVERTISED_URL' | 'HOST' | 'PROCESSOR_PORT'>): string {
  const { ADVERTISED_URL: advertised, HOST: host, PROCESSOR_PORT: ownPort } = settings
  if (advertised === '') {
    const name = EVERY_ADDRESS.includes(host) ? hostname() : host
    return `http://${name.includes(':') ? `[${name}]` : name}:${ownPort}`
  }
  if (!/^https?:$/.test(URL.parse(advertised)?.protocol ?? '')) {
    throw new StartError(`ADVERTISED_URL: must be an http:// or https:// URL, not ${advertised}`)
  }
  return advertised
}
