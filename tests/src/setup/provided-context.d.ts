import 'vitest'

declare module 'vitest' {
  /** What the run's setup (servers.ts) hands to every test of the project `servers`: `inject('kafkaBrokers')`. */
  interface ProvidedContext {
    /** host:port */
    kafkaBrokers: string
    /** Where Cassandra answers on its native protocol. */
    cassandra: { host: string; port: number }
  }
}
