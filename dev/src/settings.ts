import { COMMON_SETTINGS } from '@candlewick/service/process'
import { integer, list, num, port, str, type Settings } from '@candlewick/service/settings'

/**
 * What `npm start` itself reads; everything else in the environment is for the processes it starts, which check it
 * themselves. The ports stand here too, because a taken one is to be told before anything runs.
 */
export const LOCAL_SETTINGS = {
  ...COMMON_SETTINGS,
  KAFKA_BROKERS: list({ default: ['127.0.0.1:9092'], desc: 'where the local Kafka listens: 127.0.0.1:PORT' }),
  CASSANDRA_PORT: port({ default: 9042, desc: 'where the local Cassandra listens on 127.0.0.1' }),
  API_PORT: port({ default: 8080, desc: 'port of the API and the page' }),
  EXCHANGE_PORT: port({ default: 8081, desc: 'port of the simulated exchange' }),
  PRODUCER_PORT: port({ default: 8082, desc: 'port of the producer' }),
  PROCESSOR_PORT: port({ default: 8083, desc: 'port of the first processor; the others take those after it' }),
  PROCESSORS: integer(1, 12)({ default: 2, desc: 'how many processors share the work' }),
  KAFKA_HEAP_MB: integer(128)({ default: 512, desc: 'memory of the local Kafka, -Xmx' }),
  CASSANDRA_HEAP_MB: integer(256)({ default: 1024, desc: 'memory of the local Cassandra, -Xmx' }),
  RESTART_AFTER_S: num({ default: 5, desc: 'a process that died is started again after so many seconds' }),
  APPLICATION_ID: str({ default: 'candlewick', desc: 'names the processors’ group and their internal topics' }),
  FINNHUB_API_KEY: str({ default: '', desc: 'the key of your Finnhub account; empty = the simulated exchange' }),
}

export type LocalSettings = Settings<typeof LOCAL_SETTINGS>
