/**
 * A process that adds up numbers per key, for tests that end it in every way: started with APP_RUN, APP_BROKERS,
 * APP_INSTANCE and APP_STATE_DIR, it reads `<run>-in`, writes `<run>-out`, and tells on stdout, one JSON object a line,
 * its state changes, how much it replayed, and what it processed.
 */
import { KafkaStreams } from '../application.js'
import { utf8, type Serde } from '../serde.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}

const { APP_RUN: run, APP_BROKERS: brokers, APP_INSTANCE: instance, APP_STATE_DIR: stateDir } = process.env
if (!run || !brokers || !instance || !stateDir) throw new Error('APP_RUN, APP_BROKERS, APP_INSTANCE, APP_STATE_DIR')

const tell = (level: string) => (fields: object, message: string) => {
  process.stdout.write(`${JSON.stringify({ level, message, ...fields })}\n`)
}

const builder = new StreamsBuilder()
builder
  .stream(`${run}-in`, { key: utf8, value: number })
  .groupByKey()
  .aggregate(
    keyValueStore('sums', { key: utf8, value: number }),
    () => 0,
    (sum, value) => sum + value,
  )
  .toStream()
  .to(`${run}-out`, { key: utf8, value: number })

const app = new KafkaStreams(builder.build(), {
  applicationId: run,
  kafka: { brokers: [brokers], clientId: instance },
  stateDir,
  instanceId: instance,
  sessionTimeoutMs: 6_000,
  log: { debug: () => undefined, info: tell('info'), warn: tell('warn'), error: tell('error') },
})
app.onFatal(() => process.exit(70))
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)))
await app.start()
