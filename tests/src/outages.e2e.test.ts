import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Pipeline } from './pipeline.js'

const TRADES = 18_000
const MARKERS_ARE_WRITTEN_MS = 2_000

let pipeline: Pipeline

beforeAll(async () => {
  const exchange = { seed: '11', tradesPerSecond: 1_000, symbols: 200, total: TRADES }
  pipeline = await Pipeline.start(exchange, { restartAfterMs: null })
}, 180_000)

afterAll(() => pipeline?.stop(), 60_000)

/**
 * While no transaction is being committed, though some may be open: Kafka 4.1 to 4.3 forgets the markers of those when its
 * only broker is killed, and what they committed stays unreadable (KAFKA-20734).
 */
async function killKafka(): Promise<void> {
  const processors = ['processor-1', 'processor-2'].map((name) => pipeline.stack.child(name))
  for (const processor of processors) processor.kill('SIGSTOP')
  await delay(MARKERS_ARE_WRITTEN_MS)
  pipeline.stack.child('kafka').kill('SIGKILL')
  for (const processor of processors) processor.kill('SIGCONT')
}

it('Cassandra and Kafka may be killed under load: what is up goes on, and in the end nothing is missing', async () => {
  const { stack } = pipeline
  await pipeline.untilFolded(2_000)

  stack.child('cassandra').kill('SIGKILL')
  // Without Cassandra everything live goes on as before.
  await pipeline.untilFolded(6_000)

  await killKafka()
  // Without Kafka the feed is read on, into the producer's buffer.
  await pipeline.untilSent(Math.min(TRADES, (await pipeline.sent()).sent + 4_000))
  await Promise.all([stack.child('kafka').restart(), stack.child('cassandra').restart()])
  await pipeline.untilAllIsSent()

  const { differences, trades, bars } = await pipeline.comparedWithOracle()

  expect(await pipeline.gaps()).toEqual([])
  expect(differences).toEqual([])
  expect(trades).toBe(TRADES)
  expect(bars).toBeGreaterThan(100)
}, 240_000)
