/**
 * One process of the application, as it would be deployed:
 *
 *   KAFKA_BROKERS=host:port[,host:port] STATE_DIR=./state PORT=8090 node dist/app-main.js
 *
 * SIGTERM and SIGINT end it in order: what was processed is committed, and others take over at once.
 */
import { startApp } from './app.js'
import { jsonLines } from './console-log.js'

const { KAFKA_BROKERS, STATE_DIR = './state', PORT = '8090', TOPIC_PREFIX = '' } = process.env
if (!KAFKA_BROKERS) {
  console.error('KAFKA_BROKERS is not set: host:port of one broker or several')
  process.exit(1)
}

const app = await startApp({
  kafka: { brokers: KAFKA_BROKERS.split(','), clientId: 'card-fraud' },
  stateDir: STATE_DIR,
  port: Number(PORT),
  topicPrefix: TOPIC_PREFIX,
  log: jsonLines((line) => console.log(line)),
})
// Closing lets the others take over at once, not when this one's session is over.
app.streams.onFatal(() => void app.close().finally(() => process.exit(70)))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void app.close().then(() => process.exit(0)))
}
