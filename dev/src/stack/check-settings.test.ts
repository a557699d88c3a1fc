import { SettingsError } from '@candlewick/service/settings'
import { expect, test } from 'vitest'
import { checkSettings } from './check-settings.js'
import { neutralEnv } from './start-stack.js'

async function mistakesIn(env: Record<string, string>): Promise<readonly string[]> {
  try {
    await checkSettings({ ...neutralEnv(), ...env })
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes
    throw error
  }
}

test('the defaults are right, with the simulated exchange and with Finnhub', { timeout: 60_000 }, async () => {
  expect(await mistakesIn({})).toEqual([])
  expect(await mistakesIn({ FINNHUB_API_KEY: 'a-key' })).toEqual([])
})

test('mistakes in the settings of every process are told at once, each once', { timeout: 60_000 }, async () => {
  const mistakes = await mistakesIn({
    API_PORT: 'abc', // npm start itself
    LOG_LEVEL: 'loud', // all of them
    TRADES_PER_SECOND: '0',
    DAY_TIME_ZONE: 'Mars/Olympus',
    ALLOWED_ORIGINS: 'foo',
    CASSANDRA_REPLICATION: 'two',
  })
  // Those of one setting alone hide those of several together in the same process, which need right ones to look at.
  expect(mistakes.map((mistake) => mistake.split(':')[0]).sort()).toEqual([
    'ALLOWED_ORIGINS',
    'API_PORT',
    'CASSANDRA_REPLICATION',
    'LOG_LEVEL',
    'TRADES_PER_SECOND',
  ])
  const together = await mistakesIn({ KAFKA_BROKERS: 'nonsense', DAY_TIME_ZONE: 'Mars/Olympus', SYMBOLS: ',' })
  expect(together).toHaveLength(3)
  for (const name of ['KAFKA_BROKERS', 'DAY_TIME_ZONE', 'SYMBOLS']) {
    expect(together).toContainEqual(expect.stringContaining(name))
  }
})
