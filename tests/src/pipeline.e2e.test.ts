import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack, type Stack } from '@candlewick/dev/stack/start-stack'
import { compareWithOracle, type Comparison } from './oracle/compare.js'
import { getJson, until } from './wait.js'

const TRADES = 20_000

let dir = ''
let stack: Stack

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'candlewick-e2e-'))
  stack = await startStack({
    dir,
    ports: 'free',
    processors: 2,
    restartAfterMs: 1_000,
    exchange: { seed: '7', tradesPerSecond: 1_000, symbols: 200, total: TRADES },
  })
}, 180_000)

afterAll(async () => {
  await stack?.stop()
  await rm(dir, { recursive: true, force: true })
}, 60_000)

/** Trades counted by the processors, price updates included. */
async function folded(): Promise<number> {
  const { symbols } = await getJson<{ symbols: { average: { count: number } }[] }>(`${stack.urls.api}/symbols`)
  return symbols.reduce((sum, { average }) => sum + average.count, 0)
}

async function sent(): Promise<{ sent: number; done: boolean }> {
  return getJson(`${stack.urls.exchange}/status`)
}

/** Everything that happened is visible everywhere: the comparison settles within the time the slowest reader needs. */
async function equalToTheOracle(): Promise<Comparison> {
  const system = {
    kafkaBrokers: stack.kafkaBrokers,
    cassandra: stack.cassandra,
    keyspace: 'market',
    api: stack.urls.api,
  }
  let last: Comparison | undefined
  const equal = async () => {
    last = await compareWithOracle(system)
    return last.trades >= TRADES && last.differences.length === 0 ? last : undefined
  }
  return until('everything to equal the independent fold', equal, { timeoutMs: 90_000, everyMs: 500 }).catch(
    (error: unknown) => {
      if (last === undefined) throw error
      return last
    },
  )
}

it('equals the independent fold to the bit, although a processor was killed with kill -9 in the middle', async () => {
  await until('a quarter of the trades', async () => ((await folded()) > TRADES / 4 ? true : undefined))
  stack.child('processor-1').kill('SIGKILL')
  await until('the exchange to be done', async () => ((await sent()).done ? true : undefined), { timeoutMs: 60_000 })

  const { differences, trades, symbols, bars } = await equalToTheOracle()

  expect(differences).toEqual([])
  expect(trades).toBe(TRADES)
  expect(symbols).toBeGreaterThan(100)
  expect(bars).toBeGreaterThan(100)
}, 240_000)
