import { join } from 'node:path'
import { LOOPBACK } from '../local/ports.js'

/** One process of the stack: what it is, how it is run, when, and how it is known to be up. */
export interface Part {
  readonly name: string
  /** A server is started by its own function (dev/src/local), a service by its main file until stopped, a job until it ends. */
  readonly kind: 'kafka' | 'cassandra' | 'service' | 'job'
  /** What it is for, as the progress lines say it. */
  readonly title: string
  /** Its main file, from the checkout. Servers have none. */
  readonly main?: string
  /** Added to the environment that all share. */
  readonly env: Readonly<Record<string, string>>
  /** Where it listens; a service answers GET /readyz there. Jobs have none. */
  readonly port?: number
  /** The setting that changes the port. */
  readonly portSetting?: string
  readonly host: string
  /** Which parts must be up before it starts. */
  readonly after: readonly string[]
  /** Whether the stack is up without it; it goes on trying by itself, and a line says what it lacks. */
  readonly optional?: boolean
}

export interface Ports {
  kafka: number
  cassandra: number
  api: number
  exchange: number
  producer: number
  processors: readonly number[]
}

/** What the simulated exchange is to send; without a recording it invents trades. */
export interface ExchangeOptions {
  tradesPerSecond?: number
  seed?: string
  /** How many symbols are listed. */
  symbols?: number
  /** Stops after so many trades. */
  total?: number
  recordingFile?: string
  recordingSpeed?: string
}

export interface PlanOptions {
  dir: string
  ports: Ports
  /** Where the services listen; Kafka and Cassandra, which know no password here, stay on 127.0.0.1. */
  host: string
  /** false = the real Finnhub. */
  exchange: ExchangeOptions | false
  /** Whether SYMBOLS is set; without it all symbols of the exchange are subscribed. */
  symbolsAreSet: boolean
}

/** How others on this machine reach what listens on `host`. */
export function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? LOOPBACK : host
}

/** What every process of the stack is told. */
export function commonEnv({ ports, host }: PlanOptions): Record<string, string> {
  return {
    HOST: host,
    KAFKA_BROKERS: `${LOOPBACK}:${ports.kafka}`,
    CASSANDRA_CONTACT_POINTS: LOOPBACK,
    CASSANDRA_PORT: String(ports.cassandra),
    // What .env may say of TLS and logins is for other clusters: the servers of this stack know neither.
    KAFKA_SSL: 'false',
    KAFKA_SASL_MECHANISM: '',
    CASSANDRA_SSL: 'false',
    CASSANDRA_USERNAME: '',
    CASSANDRA_LOCAL_DATACENTER: 'datacenter1',
  }
}

/** The whole stack as data. Parts start as soon as those in `after` are up; STOP_ORDER ends them. */
export function planStack(options: PlanOptions): Part[] {
  const { dir, ports, host, exchange } = options
  const server = { env: {}, host: LOOPBACK, after: [] }
  const processors = ports.processors.map((port, index): Part => {
    const name = `processor-${index + 1}`
    return {
      name,
      kind: 'service',
      title: `processor ${index + 1} of ${ports.processors.length}`,
      main: 'processor/dist/main.js',
      env: {
        PROCESSOR_PORT: String(port),
        INSTANCE_ID: name,
        STATE_DIR: join(dir, name),
        ADVERTISED_URL: `http://${reachable(host)}:${port}`,
      },
      port,
      portSetting: 'PROCESSOR_PORT',
      host,
      after: ['topics', 'tables'],
    }
  })
  return [
    { ...server, name: 'kafka', kind: 'kafka', title: 'Kafka', port: ports.kafka, portSetting: 'KAFKA_BROKERS' },
    {
      ...{ ...server, name: 'cassandra', kind: 'cassandra', title: 'Cassandra' },
      ...{ port: ports.cassandra, portSetting: 'CASSANDRA_PORT' },
    },
    job('topics', 'the topics', 'processor/dist/create-topics-main.js', 'kafka'),
    job('tables', 'the tables', 'cassandra/dist/migrate-main.js', 'cassandra'),
    ...(exchange === false ? [] : [exchangePart(exchange, ports.exchange, host)]),
    ...processors,
    {
      name: 'query-api',
      kind: 'service',
      title: 'the API and the page',
      main: 'query-api/dist/main.js',
      env: { API_PORT: String(ports.api) },
      port: ports.api,
      portSetting: 'API_PORT',
      host,
      after: ['topics', 'tables'],
    },
    {
      name: 'producer',
      kind: 'service',
      title: 'the producer',
      main: 'producer/dist/main.js',
      env: {
        PRODUCER_PORT: String(ports.producer),
        ...(exchange !== false && {
          SOURCE: 'finnhub',
          FINNHUB_URL: `ws://${reachable(host)}:${ports.exchange}`,
          ...(!options.symbolsAreSet && { SYMBOLS: '*' }),
        }),
      },
      port: ports.producer,
      portSetting: 'PRODUCER_PORT',
      host,
      // Finnhub does not wait for us; the exchange does, so that all are up when the first trade comes.
      after: exchange === false ? ['topics'] : ['exchange', 'query-api', ...processors.map(({ name }) => name)],
      optional: true,
    },
  ]
}

function job(name: string, title: string, main: string, after: string): Part {
  return { name, kind: 'job', title, main, env: {}, host: LOOPBACK, after: [after] }
}

function exchangePart(exchange: ExchangeOptions, port: number, host: string): Part {
  const { tradesPerSecond, seed, symbols, total, recordingFile, recordingSpeed } = exchange
  const settings = {
    EXCHANGE_PORT: port,
    TRADES_PER_SECOND: tradesPerSecond,
    EXCHANGE_SEED: seed,
    EXCHANGE_SYMBOLS: symbols,
    EXCHANGE_TOTAL: total,
    RECORDING_FILE: recordingFile,
    RECORDING_SPEED: recordingSpeed,
  }
  return {
    name: 'exchange',
    kind: 'service',
    title: 'the simulated exchange',
    main: 'dev/dist/exchange/main.js',
    env: Object.fromEntries(
      Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    ),
    port,
    portSetting: 'EXCHANGE_PORT',
    host,
    after: [],
  }
}

/** First what brings data in, then what works on it, the servers last. Processors end together. */
const STOP_ORDER = ['topics', 'tables', 'producer', 'exchange', 'query-api', 'processor', 'cassandra', 'kafka']

/** The parts in the groups in which they are to be ended. */
export function stopGroups<P extends { name: string }>(parts: readonly P[]): P[][] {
  return STOP_ORDER.map((group) => parts.filter(({ name }) => name.replace(/-\d+$/, '') === group)).filter(
    (group) => group.length > 0,
  )
}
