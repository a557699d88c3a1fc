#!/usr/bin/env node
import { access, constants } from 'node:fs/promises'
import { readSpeed } from '@candlewick/producer/recording/speed'
import { runProcess, StartError, type ProcessContext } from '@candlewick/service/process'
import { integer, num, str } from '@candlewick/service/settings'
import { Exchange } from './exchange.js'
import type { Feed } from './feed.js'
import { RecordedFeed } from './recorded-feed.js'
import { SimulatedFeed } from './simulated-feed.js'

const EXCHANGE_SETTINGS = {
  EXCHANGE_PORT: integer(
    0,
    65_535,
  )({ default: 8081, desc: 'port of the WebSocket, /status and /faults; 0 = any free one' }),
  TRADES_PER_SECOND: num({
    default: 200,
    desc: 'simulated trades a second, over all subscribed symbols (+-25 % by time of day)',
  }),
  EXCHANGE_SEED: str({ default: '1', desc: 'the same seed and subscriptions give the same trades' }),
  EXCHANGE_SYMBOLS: integer(1, 10_000)({ default: 300, desc: 'how many symbols are listed' }),
  EXCHANGE_TOTAL: integer(0)({ default: 0, desc: 'stop after so many simulated trades; 0 = never' }),
  RECORDING_FILE: str({ default: '', desc: 'play this CSV symbol,price,volume,timestamp_ms (also .gz) instead' }),
  RECORDING_SPEED: str({ default: '1', desc: '1 = as it happened, 10 = ten times as fast, max' }),
}

runProcess({
  name: 'exchange',
  summary: "a simulated exchange that speaks Finnhub's WebSocket protocol, or plays a recording through it.",
  settings: EXCHANGE_SETTINGS,
  run: async (context) => {
    const { settings, log, onClose } = context
    const exchange = new Exchange(await createFeed(context), log)
    onClose('exchange', () => exchange.close())
    const url = await exchange.start({ host: settings.HOST, port: settings.EXCHANGE_PORT })
    log.info({ url }, 'up')
  },
})

async function createFeed({ settings, fail }: ProcessContext<typeof EXCHANGE_SETTINGS>): Promise<Feed> {
  const { RECORDING_FILE: file, TRADES_PER_SECOND: tradesPerSecond } = settings
  if (file === '') {
    if (!(tradesPerSecond > 0)) throw new StartError('TRADES_PER_SECOND must be a number above 0')
    const { EXCHANGE_SEED: seed, EXCHANGE_SYMBOLS: symbols, EXCHANGE_TOTAL: total } = settings
    return new SimulatedFeed({ seed, symbols, tradesPerSecond, total })
  }
  const speed = readSpeed(settings.RECORDING_SPEED)
  if (speed === undefined) throw new StartError('RECORDING_SPEED must be a number above 0 or max')
  await access(file, constants.R_OK).catch((error: unknown) => {
    throw new StartError(`cannot read RECORDING_FILE ${file}`, { cause: error })
  })
  return new RecordedFeed({ file, speed, onError: fail })
}
