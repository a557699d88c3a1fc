import { afterAll, beforeAll, expect, it } from 'vitest'
import { Pipeline } from './pipeline.js'

const TRADES = 20_000

let pipeline: Pipeline

beforeAll(async () => {
  const exchange = { seed: '7', tradesPerSecond: 1_000, symbols: 200, total: TRADES }
  pipeline = await Pipeline.start(exchange, { restartAfterMs: 1_000 })
}, 180_000)

afterAll(() => pipeline?.stop(), 60_000)

it('equals the independent fold to the bit, although a processor was killed with kill -9 in the middle', async () => {
  await pipeline.untilFolded(TRADES / 4)
  pipeline.stack.child('processor-1').kill('SIGKILL')
  await pipeline.untilAllIsSent()

  const { differences, trades, symbols, bars } = await pipeline.comparedWithOracle()

  expect(differences).toEqual([])
  expect(trades).toBe(TRADES)
  expect(symbols).toBeGreaterThan(100)
  expect(bars).toBeGreaterThan(100)
}, 240_000)
