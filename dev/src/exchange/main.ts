#!/usr/bin/env node
import { accessSync, constants } from 'node:fs'
import { readSpeed } from '@candlewick/producer/recording/speed'
import { runProcess, StartError, type ProcessContext } from '@candlewick/service/process'
import { integer, positive, str, type Settings } from '@candlewick/service/settings'
import { Exchange } from './exchange.js'
import type { Feed } from './feed.js'
import { RecordedFeed } from './recorded-feed.js'
import { SimulatedFeed } from './simulated-feed.js'

const EXCHANGE_SETTINGS = {
  EXCHANGE_PORT: integer(
    0,
    65_535,
  )({ default: 8081, desc: 'port of the WebSocket, /status and /faults; 0 = any free one' }),
  TRADES_PER_SECOND: positive({
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
  checks: [readRecording],
  run: async (context) => {
    const { settings, log, onClose } = context
    const exchange = new Exchange(createFeed(context), log)
    onClose('exchange', () => exchange.close())
    const url = await exchange.start({ host: settings.HOST, port: settings.EXCHANGE_PORT })
    log.info({ url }, 'up')
  },
})

/**
 * The recording to be played; undefined = trades are invented.
 * @throws StartError when it cannot be
 */
function readRecording(settings: Settings<typeof EXCHANGE_SETTINGS>) {
  const { RECORDING_FILE: file } = settings
  if (file === '') return undefined
  const speed = readSpeed(settings.RECORDING_SPEED)
  if (speed === undefined) throw new StartError('RECORDING_SPEED must be a number above 0 or max')
  try {
    accessSync(file, constants.R_OK)
  } catch (error) {
    throw new StartError(`cannot read RECORDING_FILE ${file}`, { cause: error })
  }
  return { file, speed }
}

function createFeed({ settings, fail }: ProcessContext<typeof EXCHANGE_SETTINGS>): Feed {
  const recording = readRecording(settings)
  if (recording !== undefined) return new RecordedFeed({ ...recording, onError: fail })
  return new SimulatedFeed({
    seed: settings.EXCHANGE_SEED,
    symbols: settings.EXCHANGE_SYMBOLS,
    tradesPerSecond: settings.TRADES_PER_SECOND,
    total: settings.EXCHANGE_TOTAL,
  })
}
