/**
 * A process that adds up numbers per key, for tests that end it in every way: started with APP_RUN, APP_BROKERS,
 * APP_INSTANCE and APP_STATE_DIR, it reads `<run>-in`, writes `<run>-out`, and tells on stdout, one JSON object a line,
 * its state changes, how much it replayed, and what it processed. APP_FAILPOINT=<name>:<signal>:<nth> makes it send itself
 * that signal when it comes by that failpoint for the nth time. APP_UNFENCED=1 commits offsets as KafkaJS does, without
 * the group's generation, to show that the tests notice. APP_QUERIES=1 answers queries, at a URL that it tells.
 * APP_GUARANTEE=at-least-once does without transactions.
 * APP_ENGINE=leveldb|rocksdb|memory is where it keeps its state.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { KafkaStreams } from '../application.js'
import { onFailpoint } from '../failpoints.js'
import { TransactionalProducer } from '../kafka/transactional-producer.js'
import { startQueryServer } from '../queries/start-query-server.js'
import { utf8 } from '../serde.js'
import { engineFactory, type EngineName } from '../state/engines.js'
import { StreamsBuilder } from '../topology/builder.js'
import { number, sums } from './counting-store.js'

const { APP_RUN: run, APP_BROKERS: brokers, APP_INSTANCE: instance, APP_STATE_DIR: stateDir } = process.env
if (!run || !brokers || !instance || !stateDir) throw new Error('APP_RUN, APP_BROKERS, APP_INSTANCE, APP_STATE_DIR')

const tell = (level: string) => (fields: object, message: string) => {
  process.stdout.write(`${JSON.stringify({ level, message, ...fields })}\n`)
}

const {
  APP_FAILPOINT: failpoint = '',
  APP_STANDBYS: standbys,
  APP_GUARANTEE: guarantee,
  APP_ACCEPTABLE_LAG: acceptableLag,
} = process.env
if (failpoint !== '') {
  const [wanted, signal, nth] = failpoint.split(':')
  let left = Number(nth)
  onFailpoint((name) => {
    if (name !== wanted || --left !== 0) return
    // Written at once: nothing that is buffered survives SIGKILL.
    writeSync(1, `${JSON.stringify({ level: 'info', message: 'at the failpoint', failpoint: name })}\n`)
    process.kill(process.pid, signal)
  })
}

if (process.env['APP_UNFENCED'] === '1') {
  const { sendOffsets } = TransactionalProducer.prototype
  TransactionalProducer.prototype.sendOffsets = function ({ groupId }, offsets) {
    return sendOffsets.call(this, { groupId, generationId: -1, memberId: '' }, offsets)
  }
}

const builder = new StreamsBuilder()
builder
  .stream(`${run}-in`, { key: utf8, value: number })
  .groupByKey()
  .aggregate(
    sums,
    () => 0,
    (sum, value) => sum + value,
  )
  .toStream()
  .to(`${run}-out`, { key: utf8, value: number })

/** A port that is free now: the group is told of it before anybody listens there. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
const port = process.env['APP_QUERIES'] === '1' ? await freePort() : undefined

const app = new KafkaStreams(builder.build(), {
  applicationId: run,
  kafka: { brokers: [brokers], clientId: instance },
  stateDir,
  instanceId: instance,
  sessionTimeoutMs: 6_000,
  ...(port !== undefined && { endpoint: `http://127.0.0.1:${port}` }),
  ...(guarantee === 'at-least-once' && { guarantee }),
  ...(standbys && { standbyReplicas: Number(standbys) }),
  makeEngine: engineFactory((process.env['APP_ENGINE'] ?? 'leveldb') as EngineName),
  ...(acceptableLag && { acceptableRecoveryLag: Number(acceptableLag) }),
  log: { debug: () => undefined, info: tell('info'), warn: tell('warn'), error: tell('error') },
})
app.onFatal((error) => {
  tell('error')({ reason: error.message }, 'ended by an error')
  process.exit(70)
})
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)))
if (port !== undefined) tell('info')({ url: (await startQueryServer(app, { port })).url }, 'queries are answered')
await app.start().catch((error: Error) => {
  tell('error')({ reason: error.message }, 'could not start')
  process.exit(1)
})
